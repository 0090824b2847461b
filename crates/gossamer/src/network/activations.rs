//! Activations: which codec each kept thing goes through, as asked for or as needs say.
//!
//! `int4` and the like are the same for all; `exact` is without loss. `auto:BITS` and `auto:BYTES`
//! spend an allowance: of so many bits a float, or of so many bytes in all. What things need is found
//! on the way back of the first step and of every fiftieth after.
//!
//! *Invariant:* the choice is a function of the steps before; it stands in checkpoints.

use gossamer_machine::Unknown;
use gossamer_machine::ledger::parse_bytes;
use gossamer_tensor::codec::float32::Float32;
use gossamer_tensor::codec::{self, Codec};
use gossamer_tensor::tape::allot::{Need, allot, uniform};

use crate::error::Error;

/// Steps between two looks at what things need: decoding once more every so often costs nothing.
const EVERY: u64 = 50;
/// Bits a float that describe a group, beside its codes.
const DESCRIBING: f64 = 0.5;

/// What was asked for.
#[derive(Clone, Copy)]
enum Asked {
    Same(&'static dyn Codec),
    Bits(f64),
    Bytes(u64),
}

/// A choice, and how it comes about.
#[derive(Clone)]
pub struct Activations {
    asked: Asked,
    /// By place, once needs are known.
    chosen: Vec<&'static dyn Codec>,
}

impl Default for Activations {
    fn default() -> Self {
        Self { asked: Asked::Same(&Float32), chosen: Vec::new() }
    }
}

impl Activations {
    /// From its words.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Setting`].
    pub fn parse(words: &str) -> Result<Self, Error> {
        let of = |asked| Ok(Self { asked, chosen: Vec::new() });
        if words == "exact" {
            return Ok(Self::default());
        }
        let Some(allowance) = words.strip_prefix("auto:") else {
            return match codec::find(words) {
                Ok(codec) => of(Asked::Same(codec)),
                Err(Unknown { known, .. }) => {
                    let known = [known, vec!["exact", "auto:3", "auto:1MiB"]].concat();
                    Err(Unknown { kind: "codec", name: words.into(), known }.into())
                }
            };
        };
        match (allowance.parse::<f64>(), parse_bytes(allowance)) {
            (Ok(bits), _) if (1.0..=32.0).contains(&bits) => of(Asked::Bits(bits)),
            (Err(_), Ok(bytes)) => of(Asked::Bytes(bytes)),
            _ => Err(Error::Setting {
                key: "activations".into(),
                what: format!("'{allowance}' is no allowance"),
                hint: "auto:3 is three bits a float, auto:1MiB so many bytes in all".into(),
            }),
        }
    }

    /// The codec of a place.
    pub fn codec(&self, place: usize) -> &'static dyn Codec {
        match (self.chosen.get(place), self.asked) {
            (Some(chosen), _) => *chosen,
            (None, Asked::Same(codec)) => codec,
            (None, Asked::Bits(bits)) => uniform(bits),
            (None, Asked::Bytes(_)) => uniform(0.0),
        }
    }

    /// The codec that takes most, of those that it may choose while an allowance is kept.
    pub fn most(&self) -> &'static dyn Codec {
        self.codec(usize::MAX)
    }

    /// True if the step after so many should find what things need.
    pub fn is_due(&self, steps: u64) -> bool {
        !matches!(self.asked, Asked::Same(_)) && steps.is_multiple_of(EVERY)
    }

    /// Chooses anew by what things need, where a step found it; says so if the choice is another.
    pub fn choose(&mut self, needs: &[Option<Need>]) -> Option<String> {
        let known: Vec<Need> = needs.iter().flatten().cloned().collect();
        let floats: usize = known.iter().flat_map(|need| &need.blocks).sum();
        let allowance = match self.asked {
            Asked::Same(_) => return None,
            Asked::Bits(bits) => (floats as f64 * (bits + DESCRIBING) / 8.0).ceil() as u64,
            Asked::Bytes(bytes) => bytes,
        };
        if known.is_empty() {
            return None;
        }
        let mut allotted = allot(&known, allowance).into_iter();
        let exact: &'static dyn Codec = &Float32;
        let of = |need: &Option<Need>| match need {
            Some(_) => allotted.next().unwrap_or(exact),
            None => exact,
        };
        let before = self.words(needs);
        self.chosen = needs.iter().map(of).collect();
        let now = self.words(needs);
        (before != now).then_some(now)
    }

    fn words(&self, needs: &[Option<Need>]) -> String {
        let chosen = needs.iter().enumerate().filter_map(|(place, need)| {
            Some(format!("{} {}", need.as_ref()?.name, self.codec(place).name()))
        });
        format!("kept between the ways: {}", chosen.collect::<Vec<_>>().join(", "))
    }

    /// The choice as numbers of the registry, for a checkpoint.
    pub fn numbers(&self) -> Vec<f32> {
        let number = |codec: &&'static dyn Codec| {
            codec::ALL.iter().position(|other| other.name() == codec.name()).unwrap_or(0) as f32
        };
        self.chosen.iter().map(number).collect()
    }

    /// Takes a choice over.
    pub fn restore(&mut self, numbers: &[f32]) {
        let codec = |number: &f32| codec::ALL.get(*number as usize).copied();
        self.chosen = numbers.iter().filter_map(codec).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_is_kept_and_nonsense_is_refused() {
        assert_eq!(Activations::parse("exact").unwrap().codec(3).name(), "f32");
        assert_eq!(Activations::parse("sign2").unwrap().codec(0).name(), "sign2");
        assert_eq!(Activations::parse("auto:4").unwrap().codec(0).name(), "int4");
        assert_eq!(Activations::parse("auto:3 MiB").unwrap().codec(0).name(), "int1");
        for (words, part) in
            [("int3", "did you mean 'int"), ("auto:0", "no allowance"), ("auto:x", "no allowance")]
        {
            let said = Activations::parse(words).err().unwrap().to_string();
            assert!(said.contains(part), "{words}: {said}");
        }
    }

    #[test]
    fn a_choice_goes_by_needs_is_told_once_and_survives_a_checkpoint() {
        let mut activations = Activations::parse("auto:3").unwrap();
        assert!(activations.is_due(0) && activations.is_due(50) && !activations.is_due(51));
        let need = |name, noise| Some(Need { name, blocks: vec![6400], noise });
        let needs = [need("input", 1.0), None, need("rows 1", 1e9), need("rows 2", 2.0)];
        let said = activations.choose(&needs).unwrap();
        assert_eq!(said, "kept between the ways: input int2, rows 1 int4, rows 2 int2");
        assert_eq!(activations.choose(&needs), None);
        let mut again = Activations::parse("auto:3").unwrap();
        again.restore(&activations.numbers());
        let names = |of: &Activations| [0, 1, 2, 3].map(|place| of.codec(place).name());
        assert_eq!(names(&again), ["int2", "f32", "int4", "int2"]);
    }
}
