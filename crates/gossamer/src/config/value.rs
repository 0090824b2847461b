//! Values of settings: how each kind is read and written.

/// A value that stands in a configuration.
pub trait Value: Sized {
    /// What a text must be, in words.
    const EXPECTED: &'static str;
    /// From text, as a file or a flag gives it.
    fn parse(text: &str) -> Option<Self>;
    /// As it stands in a file.
    fn toml(&self) -> String;
}

macro_rules! plain_value {
    ($type:ty, $expected:literal) => {
        impl Value for $type {
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Option<Self> {
                text.trim().replace('_', "").parse().ok()
            }
            fn toml(&self) -> String {
                self.to_string()
            }
        }
    };
}
plain_value!(usize, "a whole number, 0 or more");
plain_value!(u64, "a whole number, 0 or more");
plain_value!(bool, "true or false");

impl Value for f32 {
    const EXPECTED: &'static str = "a number";
    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|value: &f32| value.is_finite())
    }
    fn toml(&self) -> String {
        let text = self.to_string();
        if text.contains('.') || text.contains('e') { text } else { text + ".0" }
    }
}

impl Value for String {
    const EXPECTED: &'static str = "a name";
    fn parse(text: &str) -> Option<Self> {
        Some(text.trim().to_string())
    }
    fn toml(&self) -> String {
        toml::Value::String(self.clone()).to_string()
    }
}

/// The factors of the large products of a step; sums and rows are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 24 bits of mantissa.
    F32,
    /// Eight bits of mantissa: half the bytes, and twice as fast where the processor has products
    /// of them.
    Bf16,
}

impl Value for Precision {
    const EXPECTED: &'static str = "f32 or bf16";
    fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "f32" => Some(Self::F32),
            "bf16" => Some(Self::Bf16),
            _ => None,
        }
    }
    fn toml(&self) -> String {
        toml::Value::from(if *self == Self::F32 { "f32" } else { "bf16" }).to_string()
    }
}
