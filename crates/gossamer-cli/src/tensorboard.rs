//! TensorBoard's event files: a run's metrics as scalars.
//!
//! A record is its length (u64), the length's masked CRC-32C, the bytes, and theirs. The bytes are a
//! protocol buffer `Event`: 1 wall time (double), 2 step (int64), 3 file version (string) or 5
//! summary, whose values (1) have a tag (1) and a float (2).
//! *Paper:* TensorFlow's `record_writer` and `event.proto`.

/// An event file of the lines of `metrics.jsonl`; `end` is the wall time of the last of them,
/// seconds since 1970.
pub fn events(metrics: &str, end: f64) -> Vec<u8> {
    let lines: Vec<serde_json::Value> =
        metrics.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let seconds = |line: &serde_json::Value| line["seconds"].as_f64().unwrap_or(0.0);
    let last = lines.last().map_or(0.0, seconds);
    let mut file = Vec::new();
    let mut first = time(end - last);
    field(&mut first, 3, b"brain.Event:2");
    record(&mut file, &first);
    for line in &lines {
        let epoch = line["epoch"].as_u64().unwrap_or(0);
        for (key, tag) in
            [("loss", "train/loss"), ("valid_mean_reciprocal_rank", "valid/mean_reciprocal_rank")]
        {
            let Some(value) = line[key].as_f64() else { continue };
            let mut scalar = Vec::new();
            field(&mut scalar, 1, tag.as_bytes());
            scalar.push(2 << 3 | 5);
            scalar.extend_from_slice(&(value as f32).to_le_bytes());
            let mut summary = Vec::new();
            field(&mut summary, 1, &scalar);
            let mut event = time(end - last + seconds(line));
            event.push(2 << 3);
            varint(&mut event, epoch);
            field(&mut event, 5, &summary);
            record(&mut file, &event);
        }
    }
    file
}

/// An event with its wall time.
fn time(seconds: f64) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend_from_slice(&seconds.to_le_bytes());
    event
}

/// A field of bytes.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn record(file: &mut Vec<u8>, bytes: &[u8]) {
    let length = (bytes.len() as u64).to_le_bytes();
    file.extend_from_slice(&length);
    file.extend_from_slice(&masked(&length).to_le_bytes());
    file.extend_from_slice(bytes);
    file.extend_from_slice(&masked(bytes).to_le_bytes());
}

/// TensorFlow's masked CRC-32C.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_hold_what_their_headers_say() {
        let metrics = "{\"epoch\":1,\"loss\":2.5,\"seconds\":3}\n\
                       {\"epoch\":200,\"loss\":1.5,\"seconds\":6,\"valid_mean_reciprocal_rank\":0.5}\n";
        let file = events(metrics, 1000.0);
        let (mut rest, mut n) = (file.as_slice(), 0);
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked(&rest[..8]).to_le_bytes());
            let bytes = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked(bytes).to_le_bytes());
            // Each begins with its wall time: 994, 997, 1000, 1000.
            let wall = f64::from_le_bytes(bytes[1..9].try_into().unwrap());
            assert_eq!((bytes[0], wall), (9, [994.0, 997.0, 1000.0, 1000.0][n]));
            rest = &rest[16 + length..];
            n += 1;
        }
        assert_eq!(n, 4);
    }
}
