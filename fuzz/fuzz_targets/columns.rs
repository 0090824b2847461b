#![no_main]
//! Any bytes as the index of a column file, under a header whose checksums are right.

use std::io::Write;

use gossamer_machine::column::ColumnFile;
use xxhash_rust::xxh3::xxh3_64;

libfuzzer_sys::fuzz_target!(|index: &[u8]| {
    let mut bytes = b"gossamer".to_vec();
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    for word in [48, index.len() as u64, xxh3_64(index)] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(index);
    let path = std::env::temp_dir().join(format!("gossamer-fuzz-{}", std::process::id()));
    let Ok(mut file) = std::fs::File::create(&path) else { return };
    let _ = file.write_all(&bytes);
    drop(file);
    if let Ok(file) = ColumnFile::open(&path) {
        let _ = file.check();
        for column in file.columns() {
            let _ = file.read_all::<u32>(&column.name);
        }
    }
});
