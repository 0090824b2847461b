//! Bytes, counted before they are allocated.
//!
//! *Invariant:* a total is the sum of its lines; nothing is rounded before it is shown.

/// Bytes from which an array has pages of its own, as where a process begins with glibc.
pub const OWN_PAGES: u64 = 128 << 10;

/// What an array of so many bytes takes: whole pages where it has its own, and a header.
pub fn taken(bytes: u64) -> u64 {
    const PAGE: u64 = 4 << 10;
    /// The allocator's, and the counts of those who share it.
    const HEADER: u64 = 32;
    match bytes + HEADER {
        whole if bytes >= OWN_PAGES => whole.next_multiple_of(PAGE),
        whole => whole,
    }
}

/// One thing that occupies memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is: "optimiser state".
    pub name: &'static str,
    /// Its shape in words: "4,096 × 200".
    pub shape: String,
    /// How it is kept: "f32", "u32", "measured".
    pub kept: String,
    /// Bytes.
    pub bytes: u64,
}

/// What will be in memory at the same time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The lines, in the order in which they were added.
    pub lines: Vec<Line>,
}

impl Ledger {
    /// Adds a line.
    pub fn add(&mut self, name: &'static str, shape: String, kept: impl Into<String>, bytes: u64) {
        self.lines.push(Line { name, shape, kept: kept.into(), bytes });
    }

    /// The sum of the lines, in bytes.
    pub fn total(&self) -> u64 {
        self.lines.iter().map(|line| line.bytes).sum()
    }

    /// Becomes another that has more bytes.
    pub fn raise_to(&mut self, other: Self) {
        if other.total() > self.total() {
            *self = other;
        }
    }

    /// The line with the most bytes.
    pub fn largest(&self) -> Option<&Line> {
        self.lines.iter().max_by_key(|line| line.bytes)
    }
}

/// Bytes in words, in binary units: "1.5 GiB".
pub fn bytes_in_words(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// A count with thin separators: "14,541".
pub fn count_in_words(count: u64) -> String {
    let digits = count.to_string();
    let mut words = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// Bytes from words such as "4GiB", "512 MiB", "2G", "1.5gb" or "1048576".
///
/// GB, G and GiB all mean 2³⁰ bytes here: memory is sold in binary units.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_bytes(words: &str) -> Result<u64, String> {
    let expected = || format!("'{words}' is no amount of memory\nhint: write 512MiB or 4GiB");
    let text = words.trim().to_ascii_lowercase();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..split].parse().map_err(|_| expected())?;
    let power = match text[split..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return Err(expected()),
    };
    Ok((number * 1024f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_said() {
        assert_eq!(parse_bytes("4GiB"), Ok(4 << 30));
        assert_eq!(parse_bytes(" 1.5 mb"), Ok(3 << 19));
        assert_eq!(parse_bytes("77"), Ok(77));
        assert!(parse_bytes("lots").is_err() && parse_bytes("4 parsecs").is_err());
        assert_eq!(bytes_in_words(3 << 19), "1.5 MiB");
        assert_eq!(bytes_in_words(12), "12 B");
        assert_eq!(count_in_words(1_234_567), "1,234,567");
        assert_eq!(count_in_words(12), "12");
    }

    #[test]
    fn a_ledger_adds_up() {
        let mut ledger = Ledger::default();
        ledger.add("a", String::new(), "f32", 3);
        ledger.add("b", String::new(), "f32", 5);
        assert_eq!(ledger.total(), 8);
        assert_eq!(ledger.largest().map(|line| line.name), Some("b"));
        let mut most = Ledger::default();
        most.raise_to(ledger.clone());
        most.raise_to(Ledger { lines: ledger.lines[..1].to_vec() });
        assert_eq!(most, ledger);
    }
}
