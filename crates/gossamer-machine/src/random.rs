//! Random numbers that are addressed, not drawn: a pure function of where they are used.
//!
//! *Invariant:* the numbers of an address never change between versions, threads or machines: they
//! are part of the file format, since a resumed run replays them.
//! *Paper:* Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011), Philox4x32-10.

/// What a random number is for; two purposes never share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// First values of table rows.
    Initial = 1,
    /// Order of the training examples of an epoch.
    Order = 2,
    /// Negatives.
    Negative = 3,
    /// Choice of what is held out.
    Split = 4,
    /// Choice of a sample.
    Sample = 5,
    /// Made-up data.
    Synthetic = 6,
    /// Resamples of a bootstrap.
    Resample = 7,
    /// Settings of a trial.
    Trial = 8,
    /// What dropout drops.
    Dropout = 9,
    /// What is left out between the layers of a network.
    Layer = 11,
    /// What stands in the place of something else.
    Alternative = 10,
    /// How rows are rounded when they are encoded.
    Rounding = 12,
    /// Which partition or part a thing is put in.
    Partition = 13,
}

/// Where random numbers are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    key: [u32; 2],
    step: u64,
}

impl Address {
    /// The numbers of one purpose at one step (an epoch, a batch …) of a run with this seed.
    pub fn new(seed: u64, purpose: Purpose, step: u64) -> Self {
        let mixed = mix(seed ^ mix(purpose as u64));
        Self { key: [mixed as u32, (mixed >> 32) as u32], step }
    }

    /// The numbers of a part of this step, by the part's number; they are not those of the step.
    pub fn part(&self, number: u32) -> Self {
        let [low, high] = self.key.map(u64::from);
        let mixed = mix(mix(high << 32 | low) ^ u64::from(number));
        Self { key: [mixed as u32, (mixed >> 32) as u32], ..*self }
    }

    /// 128 random bits of a row and a column.
    pub fn bits(&self, row: u32, column: u32) -> [u32; 4] {
        philox([column, row, self.step as u32, (self.step >> 32) as u32], self.key)
    }

    /// 32 bits of each of N places at once, for far less than [`Self::bits`] costs: enough
    /// to toss a coin for each float of a network, no more.
    ///
    /// Murmur3's last step, of the row and again with the column; not those of `bits`.
    #[inline(always)]
    pub fn coins_of<const N: usize>(&self, rows: [u32; N], columns: [u32; N]) -> [u32; N] {
        let [low, high] = self.key.map(u64::from);
        let mixed = mix((high << 32 | low) ^ mix(self.step));
        let (one, other) = (mixed as u32, (mixed >> 32) as u32);
        let mut out = [0; N];
        for i in 0..N {
            let row = murmur(rows[i] ^ one);
            out[i] = murmur(row ^ columns[i].wrapping_mul(0x9E37_79B1).wrapping_add(other));
        }
        out
    }

    /// A number in `0..n`, each equally likely up to a bias of n / 2⁶⁴.
    pub fn below(&self, n: u64, row: u32, column: u32) -> u64 {
        let [low, high, ..] = self.bits(row, column);
        let bits = u64::from(high) << 32 | u64::from(low);
        ((u128::from(bits) * u128::from(n)) >> 64) as u64
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn unit(&self, row: u32, column: u32) -> f64 {
        let [low, high, ..] = self.bits(row, column);
        (u64::from(high) << 32 | u64::from(low)) as f64 * (1.0 / 18_446_744_073_709_551_616.0)
    }

    /// Four numbers in [−1, 1), for filling rows quickly.
    pub fn symmetric(&self, row: u32, column: u32) -> [f32; 4] {
        self.bits(row, column).map(|bits| (bits >> 8) as f32 * (1.0 / 8_388_608.0) - 1.0)
    }

    /// A draw from the normal distribution of mean 0 and deviation 1.
    ///
    /// The sum of twelve uniforms minus six would be cheaper but has no tails; this is Box–Muller.
    pub fn normal(&self, row: u32, column: u32) -> f32 {
        let [a, b, ..] = self.bits(row, column);
        let u = (f64::from(a) + 1.0) / 4_294_967_297.0;
        let angle = f64::from(b) * (std::f64::consts::TAU / 4_294_967_296.0);
        ((-2.0 * u.ln()).sqrt() * angle.cos()) as f32
    }
}

/// A random order of `0..n` that needs no memory: the i-th item is computed.
///
/// A four-round Feistel network over the next even power of two, walked until it lands below n
/// (at most four tries on average).
#[derive(Debug, Clone, Copy)]
pub struct Permutation {
    n: u64,
    half_bits: u32,
    address: Address,
}

impl Permutation {
    /// The order of `0..n` that belongs to this address.
    pub fn new(n: u64, address: Address) -> Self {
        let bits = 64 - n.saturating_sub(1).leading_zeros();
        Self { n, half_bits: bits.div_ceil(2).max(1), address }
    }

    /// The item at place `index`, which must be below n.
    pub fn get(&self, index: u64) -> u64 {
        let mut value = index;
        loop {
            value = self.shuffle(value);
            if value < self.n {
                return value;
            }
        }
    }

    fn shuffle(&self, value: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for round in 0..4 {
            let mixed = u64::from(self.address.bits(right as u32, round)[0]);
            (left, right) = (right, (left ^ mixed) & mask);
        }
        left << self.half_bits | right
    }
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A permutation of 32 bits in which each bit changes half of all.
#[inline(always)]
fn murmur(value: u32) -> u32 {
    let mut z = value;
    z = (z ^ (z >> 16)).wrapping_mul(0x85EB_CA6B);
    z = (z ^ (z >> 13)).wrapping_mul(0xC2B2_AE35);
    z ^ (z >> 16)
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_known_answers_of_its_paper() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = u32::MAX;
        assert_eq!(
            philox([ones; 4], [ones; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn coins_fall_evenly_and_independently_of_rows_columns_and_steps() {
        const N: u32 = 256;
        let toss = |step: u64, part: f64| -> Vec<i32> {
            let address = Address::new(5, Purpose::Dropout, step);
            let least = (part * 4_294_967_296.0) as u32;
            let places = (0..N).flat_map(|row| (0..N).map(move |column| (row, column)));
            let coin = |(row, column)| address.coins_of([row], [column])[0] < least;
            places.map(|place| if coin(place) { 1 } else { -1 }).collect()
        };
        // Five deviations of a sum of as many signs.
        let bound = 5.0 * f64::from(N);
        let halves = toss(3, 0.5);
        let sum = |of: &mut dyn Iterator<Item = i32>| f64::from(of.sum::<i32>()).abs();
        assert!(sum(&mut halves.iter().copied()) < bound);
        assert!(
            (f64::from(toss(3, 0.1).iter().sum::<i32>()) / f64::from(N * N) + 0.8).abs() < 0.006
        );
        // Neighbours along a row and along a column, the transpose, and the next step.
        let n = N as usize;
        let turned = |place: usize| place % n * n + place / n;
        let next = toss(4, 0.5);
        for away in [1, 2, 7, 64, n, 2 * n, 64 * n] {
            let ahead = &halves[away..];
            assert!(sum(&mut halves.iter().zip(ahead).map(|(a, b)| a * b)) < bound, "{away}");
        }
        assert!(sum(&mut (0..n * n).map(|at| halves[at] * halves[turned(at)])) < 2.0 * bound);
        assert!(sum(&mut halves.iter().zip(&next).map(|(a, b)| a * b)) < bound);
        // And rectangles' corners: rows and columns are not merely added.
        let corners = (0..n * (n - 1))
            .filter(|at| at % n + 1 < n)
            .map(|at| halves[at] * halves[at + 1] * halves[at + n] * halves[at + n + 1]);
        assert!(sum(&mut corners.into_iter()) < bound);
    }

    #[test]
    fn a_permutation_visits_each_item_once() {
        for n in [1, 2, 3, 5, 64, 1000, 1025] {
            let order = Permutation::new(n, Address::new(7, Purpose::Order, 3));
            let mut seen: Vec<u64> = (0..n).map(|i| order.get(i)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn steps_and_purposes_differ_and_the_mean_is_right() {
        let a = Address::new(1, Purpose::Order, 0);
        assert_ne!(a.bits(0, 0), Address::new(1, Purpose::Order, 1).bits(0, 0));
        assert_ne!(a.bits(0, 0), Address::new(1, Purpose::Negative, 0).bits(0, 0));
        let n = 20_000;
        let mean = (0..n).map(|i| a.unit(i, 0)).sum::<f64>() / f64::from(n);
        assert!((mean - 0.5).abs() < 0.01, "mean {mean}");
        let square = (0..n).map(|i| f64::from(a.normal(i, 1)).powi(2)).sum::<f64>() / f64::from(n);
        assert!((square - 1.0).abs() < 0.05, "variance {square}");
        assert!((0..1000).all(|i| a.below(3, i, 0) < 3));
    }
}
