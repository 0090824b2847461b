//! The leak that logits and sums go through: what is negative becomes a fifth of it.

/// What a negative number is multiplied by.
pub const LEAK: f32 = 0.2;

/// x, or a fifth of it.
pub fn leaky(x: f32) -> f32 {
    x * slope(x)
}

/// The leak's derivative.
pub fn slope(x: f32) -> f32 {
    if x < 0.0 { LEAK } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_negative_becomes_a_fifth() {
        assert_eq!([leaky(-2.0), leaky(0.0), leaky(3.0)], [-0.4, 0.0, 3.0]);
        assert_eq!([slope(-2.0), slope(3.0)], [0.2, 1.0]);
    }
}
