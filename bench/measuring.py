"""What the measuring scripts share: the program, and where and when something was measured."""

import datetime
import json
import os
import pathlib
import platform
import subprocess

HOUSE = pathlib.Path(__file__).resolve().parent.parent
GOSSAMER = str(HOUSE / "target" / "release" / "gossamer")


def run(*words):
    """What a command says; it must succeed."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def timed(*words):
    """What a command says, and the seconds that processors worked for it: other work beside adds nothing to them."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, words)
    return said, usage.ru_utime + usage.ru_stime


def build():
    """Builds what stands here now."""
    run("cargo", "build", "--release", "--quiet", "--manifest-path", str(HOUSE / "Cargo.toml"))


def machine():
    """The processor and its cores."""
    model = platform.processor()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores"


def commit():
    """The commit that stands here."""
    return run("git", "-C", str(HOUSE), "rev-parse", "--short", "HEAD").strip()


def sections(page):
    """What stands in a page under each heading of the second level, by heading."""
    if not page.exists():
        return {}
    parts = page.read_text(encoding="utf-8").split("\n## ")[1:]
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in parts}


class Notes:
    """What was measured, a line each as it is found: a script that is stopped goes on where it was, elsewhere too."""

    def __init__(self, name):
        self.path, self.known = HOUSE / "bench" / "notes" / f"{name}.jsonl", {}
        self.origin = {"commit": commit(), "machine": machine(), "date": datetime.date.today().isoformat()}
        self.path.parent.mkdir(exist_ok=True)
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                note = json.loads(line)
                self.known[note["key"]] = note

    def of(self, key, measure):
        """What is noted under a key; where nothing is, what is measured now, and where, when and of what."""
        if key not in self.known:
            note = {"key": key, **measure(), **self.origin}
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(note) + "\n")
            self.known[key] = note
        return self.known[key]


def origins(notes):
    """Where, of what and when some notes were measured, in words."""
    machines, commits, dates = (sorted({note[part] for note in notes}) for part in ("machine", "commit", "date"))
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{'; '.join(machines)}; commit {', '.join(commits)}; {when}"
