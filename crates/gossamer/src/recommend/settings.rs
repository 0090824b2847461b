//! What decides a recommender's result: settings, each with its key.

use gossamer_machine::Machine;
use gossamer_tensor::optim::Step;

use super::find;
use crate::error::Error;
use crate::network::activations::Activations;

/// Settings by key: the type is the field's own.
macro_rules! settings {
    ($($(#[$doc:meta])* $key:ident: $type:ty = $usual:expr,)+) => {
        /// What decides a recommender's result.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $($(#[$doc])* pub $key: $type,)+
        }

        /// The key of every setting.
        pub const KEYS: &[&str] = &[$(stringify!($key)),+];

        impl Settings {
            /// Those that a recommender begins with.
            fn usual() -> Self {
                Self { $($key: $usual),+ }
            }

            /// Sets one; false if there is none of that key, or that is no value of it.
            fn put(&mut self, key: &str, text: &str) -> bool {
                match key {
                    $(stringify!($key) => <$type>::read(text).is_some_and(|value| {
                        self.$key = value;
                        true
                    }),)+
                    _ => false,
                }
            }

            /// The value of one, as a configuration has it.
            fn written(&self, key: &str) -> String {
                match key {
                    $(stringify!($key) => self.$key.write(),)+
                    _ => String::new(),
                }
            }
        }
    };
}

settings! {
    /// The recommender.
    model: String = String::new(),
    /// Weight of the penalty.
    regularisation: f32 = 0.0,
    /// Weight of facts beside interactions; 0: none.
    facts: f32 = 0.0,
    /// Items that an item speaks for; neighbours that are drawn.
    nearest: usize = 300,
    /// Items of a list that are scored anew.
    listed: usize = 0,
    /// Floats of a row.
    dim: usize = 64,
    /// Weight of what is not there, beside what is.
    absent: f32 = 0.1,
    /// Passes over the interactions.
    epochs: usize = 16,
    /// Pairs of a step.
    batch: usize = 2048,
    /// Items that stand against a pair's.
    negatives: usize = 1,
    /// True if of these the one with the highest score alone counts.
    hardest: bool = false,
    /// Layers of a network; hops that rows are means over.
    layers: usize = 0,
    /// Part of the floats after a layer that is left out in a step.
    layer_dropout: f32 = 0.0,
    /// Part of the neighbours that is left out in a step.
    edge_dropout: f32 = 0.0,
    /// How a network keeps what its way back needs.
    activations: String = "exact".into(),
    /// Weight of guessing what a user has from what is around it.
    smoothness: f32 = 0.0,
    /// Weight of contrast between two views.
    contrast: f32 = 0.0,
    /// What a contrast's cosines are divided by.
    temperature: f32 = 0.2,
    /// Floats between the layers of what denoises facts.
    denoiser: usize = 64,
    /// Adam's step size.
    learning_rate: f32 = 0.005,
    /// Seed of every random choice.
    seed: u64 = 0,
}

/// Entities that may be reached from one through drawn neighbours.
const MOST_REACHED: u64 = 1 << 20;

/// What a setting may be.
trait Value: Sized {
    /// From text.
    fn read(text: &str) -> Option<Self>;
    /// As TOML.
    fn write(&self) -> String;
}

/// Values whose text is Rust's own.
macro_rules! values {
    ($($type:ty)+) => {
        $(impl Value for $type {
            fn read(text: &str) -> Option<Self> {
                text.trim().parse().ok()
            }
            fn write(&self) -> String {
                self.to_string()
            }
        })+
    };
}

values!(f32 usize u64 bool);

impl Value for String {
    fn read(text: &str) -> Option<Self> {
        Some(text.trim().trim_matches('"').into())
    }
    fn write(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Settings {
    /// Those that suit a recommender.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn of(model: &str) -> Result<Self, Error> {
        let settings = Self { model: model.into(), ..Self::usual() };
        Ok(find(model)?.defaults(settings))
    }

    /// Adam's step with a number.
    pub(super) fn step(&self, number: u64, machine: &Machine) -> Step {
        Step {
            learning_rate: self.learning_rate,
            number,
            seed: self.seed,
            instruction_set: machine.instruction_set,
        }
    }

    /// Sets one from text.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Error> {
        self.put(key, text).then_some(()).ok_or_else(|| Error::Setting {
            key: key.into(),
            what: format!("'{text}' is no value of it"),
            hint: "gossamer train --help has the settings".into(),
        })
    }

    /// As a file.
    pub fn to_toml(&self) -> String {
        let line = |key: &&str| format!("{key} = {}\n", self.written(key));
        let lines: String = KEYS.iter().map(line).collect();
        format!("# A recommender.\n{lines}")
    }

    /// Checks names and numbers.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Setting`].
    pub fn check(&self) -> Result<(), Error> {
        let recommender = find(&self.model)?;
        let counts = [
            ("nearest", self.nearest),
            ("dim", self.dim),
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("negatives", self.negatives),
            ("denoiser", self.denoiser),
            ("layers", self.layers + 1),
        ];
        let wrong = |key: &str, what: String, hint: &str| {
            Err(Error::Setting { key: key.into(), what, hint: hint.into() })
        };
        for (key, value) in counts {
            if value == 0 || value > 1 << 16 {
                let what = format!("{value} is none that a recommender can have");
                return wrong(key, what, "write a number from 1 to 65536");
            }
        }
        if self.layers < recommender.least_layers() {
            let what = format!("{} has nothing to do without layers", self.model);
            return wrong("layers", what, "1 or more");
        }
        let own = recommender.own();
        let reach = (self.nearest as u64).saturating_pow(self.layers as u32);
        if own.contains(&"nearest") && own.contains(&"layers") && reach > MOST_REACHED {
            let what =
                format!("{} neighbours over {} hops are too many", self.nearest, self.layers);
            return wrong("nearest", what, "fewer, or fewer --layers");
        }
        let weights = [
            ("regularisation", self.regularisation),
            ("facts", self.facts),
            ("absent", self.absent),
            ("smoothness", self.smoothness),
            ("contrast", self.contrast),
            ("learning_rate", self.learning_rate),
        ];
        for (key, value) in weights {
            if !(0.0..=1e9).contains(&value) {
                let what = format!("{value} is no weight");
                return wrong(key, what, "write a number from 0 on, such as 60");
            }
        }
        // Below that, exponentials of differences are no numbers.
        if !(0.05..=1e3).contains(&self.temperature) {
            let what = format!("{} is no temperature", self.temperature);
            return wrong("temperature", what, "write a number from 0.05 on, such as 0.2");
        }
        for (key, part) in
            [("layer_dropout", self.layer_dropout), ("edge_dropout", self.edge_dropout)]
        {
            if !(0.0..=0.95).contains(&part) {
                return wrong(key, format!("{part} is no part to leave out"), "from 0 to 0.95");
            }
        }
        Activations::parse(&self.activations)?;
        let usual = Self::of(&self.model)?;
        for key in KEYS.iter().filter(|key| **key != "seed" && !own.contains(key)) {
            if self.written(key) != usual.written(key) {
                let what = format!("{} has no such setting", self.model);
                return wrong(key, what, &format!("it has: {}", own.join(", ")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_recommender_does_not_have_is_refused_by_name() {
        for key in KEYS.iter().filter(|key| **key != "model") {
            let mut settings = Settings::of("pop").unwrap();
            settings.set(key, if *key == "hardest" { "true" } else { "0.5" }).unwrap_or(());
            settings.set(key, if *key == "activations" { "int2" } else { "7" }).unwrap_or(());
            let found = settings.check();
            assert_eq!(found.is_ok(), *key == "seed", "{key}");
        }
        assert!(Settings::of("pop").unwrap().set("size", "3").is_err());
    }
}
