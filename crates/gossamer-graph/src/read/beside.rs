//! Two texts read as one table: the lines of the second go on those of the first.

use std::io::{self, BufRead, Read};

use super::MAX_LINE_BYTES;

/// Lines of two sources, joined by a comma.
pub struct Beside<L, R> {
    left: L,
    right: R,
    line: Vec<u8>,
    read: usize,
}

impl<L: BufRead, R: BufRead> Beside<L, R> {
    /// Of two sources with as many lines.
    pub fn new(left: L, right: R) -> Self {
        Self { left, right, line: Vec::new(), read: 0 }
    }

    /// Appends a line without its end; false at the end of the source.
    fn push_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
        let start = line.len();
        // A line beyond the bound is cut, and refused by the reader for its length.
        let most = MAX_LINE_BYTES as u64 + 1;
        if source.take(most).read_until(b'\n', line)? == 0 {
            return Ok(false);
        }
        let end = line[start..].trim_ascii_end().len();
        line.truncate(start + end);
        Ok(true)
    }

    fn next_line(&mut self) -> io::Result<()> {
        (self.read, self.line) = (0, Vec::new());
        let left = Self::push_line(&mut self.left, &mut self.line)?;
        if left {
            self.line.push(b',');
        }
        let right = Self::push_line(&mut self.right, &mut self.line)?;
        if left != right {
            let what = "the file beside it, which goes on its lines, has not as many";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if left {
            self.line.push(b'\n');
        }
        Ok(())
    }
}

impl<L: BufRead, R: BufRead> Read for Beside<L, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read == self.line.len() {
            self.next_line()?;
        }
        let n = out.len().min(self.line.len() - self.read);
        out[..n].copy_from_slice(&self.line[self.read..][..n]);
        self.read += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_beside_each_other_and_must_be_as_many() {
        let mut text = String::new();
        Beside::new(&b"1,2\r\n3,4"[..], &b"a\nb\n"[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "1,2,a\n3,4,b\n");
        for (left, right) in [("1\n2\n", "a\n"), ("1\n", "a\nb\n")] {
            let mut both = Beside::new(left.as_bytes(), right.as_bytes());
            assert!(both.read_to_string(&mut String::new()).is_err());
        }
    }
}
