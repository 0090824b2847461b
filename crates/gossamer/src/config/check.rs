//! Do the settings make sense, one by one? Whether they suit each other is asked where they meet.

use gossamer_tensor::{optim, schedule};

use super::{Config, NO_LAYER, ROWS};
use crate::error::Error;
use crate::network::activations::Activations;
use crate::{layer, loss, regulariser, sample};

impl Config {
    /// Checks names against the registries above this module, and that the numbers make sense; the
    /// training form is checked where it is found ([`form::of`](crate::form::of)).
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Setting`].
    pub fn check(&self) -> Result<(), Error> {
        self.check_names()?;
        let wrong = |key: &str, what: String, hint: &str| Error::Setting {
            key: key.into(),
            what,
            hint: hint.into(),
        };
        for (key, value) in [
            ("dim", self.dim),
            ("batch", self.batch),
            ("negatives", self.negatives),
            ("block", self.block),
            ("layers", self.layers),
            ("layer_every", self.layer_every),
            ("validate_every", self.validate_every),
        ] {
            if value == 0 {
                return Err(wrong(
                    key,
                    "must be at least 1".into(),
                    "leave it out for the default",
                ));
            }
        }
        /// Larger sizes are typing errors: a row of this many floats takes 4 MiB.
        const MOST: usize = 1 << 20;
        for (key, value) in [
            ("dim", self.dim),
            ("batch", self.batch),
            ("negatives", self.negatives),
            ("block", self.block),
        ] {
            if value > MOST {
                return Err(wrong(
                    key,
                    format!("{value} is more than {MOST}"),
                    "choose a smaller one",
                ));
            }
        }
        self.check_partitions()?;
        if self.learning_rate <= 0.0 {
            let what = format!("{} is no step size", self.learning_rate);
            return Err(wrong("learning_rate", what, "0.1 suits adagrad, 0.001 adam"));
        }
        for (key, part) in [
            ("label_smoothing", self.label_smoothing),
            ("dropout", self.dropout),
            ("layer_dropout", self.layer_dropout),
            ("edge_dropout", self.edge_dropout),
        ] {
            if !(0.0..1.0).contains(&part) {
                let what = format!("{part} is no part that can be left out or spread");
                return Err(wrong(key, what, "write a number from 0 to below 1, such as 0.1"));
            }
        }
        for (key, value) in [
            ("regularisation", self.regularisation),
            ("query_regularisation", self.query_regularisation),
            ("relation_prediction", self.relation_prediction),
            ("initial", self.initial),
            ("initial_relation", self.initial_relation),
            ("layer_rate", self.layer_rate),
        ] {
            if value < 0.0 {
                return Err(wrong(key, "must not be negative".into(), "0 turns it off"));
            }
        }
        Ok(())
    }

    /// Partitions need a form that takes triples as they come, and negatives from anywhere.
    fn check_partitions(&self) -> Result<(), Error> {
        /// More are a typing error: each is some files, all of them open.
        const MOST: usize = 100;
        let wrong = |key: &str, what: String, hint: &str| {
            Err(Error::Setting { key: key.into(), what, hint: hint.into() })
        };
        let (n, here) = (self.partitions, self.in_memory);
        if n == 0 || n > MOST {
            return wrong("partitions", format!("{n} is not from 1 to {MOST}"), "1: all in one");
        }
        if self.decoded && (n == 1 || self.rows == ROWS) {
            let what = "there are no partitions whose rows have a row code".into();
            return wrong("decoded", what, "add --rows int4 --partitions 8, or leave it out");
        }
        if n == 1 {
            return Ok(());
        }
        if here < 2 || here > n {
            let what = format!("{here} is not from 2 to {n}, the number of partitions");
            return wrong("in_memory", what, "a triple's two ends may be in two of them");
        }
        let sampler = sample::find(&self.negative_sampler)?;
        if sampler.own() || sampler.weighs_sides() {
            let what = format!("{} looks at the whole graph", sampler.name());
            return wrong("partitions", what, "add --negative-sampler uniform");
        }
        if self.layer != NO_LAYER {
            let what = format!("layer {} makes all rows at once", self.layer);
            return wrong("partitions", what, "leave the layer or the partitions out");
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), Error> {
        self.score_function()?;
        optim::find(&self.optimiser)?;
        schedule::find(&self.schedule)?;
        regulariser::find(&self.regulariser)?;
        sample::find(&self.negative_sampler)?;
        loss::find(&self.loss)?;
        Activations::parse(&self.activations)?;
        let coded = self.row_code()?.is_some();
        if self.layer != NO_LAYER {
            layer::find(&self.layer)?;
            if coded {
                let what = "the rows a network makes are f32".into();
                let hint = "leave out --layer or --rows".into();
                return Err(Error::Setting { key: "rows".into(), what, hint });
            }
        }
        Ok(())
    }
}
