//! Configuration: a run as plain data, complete, checked against the registries.
//!
//! *Invariant:* the only place with defaults. Two runs with equal configurations on equal graphs
//! have equal bytes; nothing that may differ between them (threads, budget, paths) stands here.
//! *Not here:* parsing of flags; a face makes a flag of each entry of [`SETTINGS`].

use gossamer_machine::registry::nearest;
use gossamer_tensor::row_code::{self, RowCode};

use crate::error::Error;
use crate::score;
use crate::score::{Initial, ScoreFunction};

mod check;
pub mod recipe;
mod suited;
mod value;

pub use value::Precision;
use value::Value;

/// A setting as help and reference show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the file, and as a flag.
    pub key: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it does.
    pub help: &'static str,
}

macro_rules! settings {
    ($($key:ident: $type:ty, $unit:literal, $help:literal;)+) => {
        /// Everything that decides what a run learns.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Config {
            $(#[doc = $help] pub $key: $type,)+
        }

        /// The settings in the order in which files and help list them.
        pub static SETTINGS: &[Setting] =
            &[$(Setting { key: stringify!($key), unit: $unit, help: $help }),+];

        impl Config {
            /// Sets one setting from text, as a file or a flag gives it.
            ///
            /// # Errors
            /// [`Error::Setting`] when the key or the value makes no sense.
            pub fn set(&mut self, key: &str, text: &str) -> Result<(), Error> {
                match key {
                    $(stringify!($key) => {
                        self.$key = <$type as Value>::parse(text).ok_or_else(|| Error::Setting {
                            key: key.to_string(),
                            what: format!("'{text}' is not {}", <$type as Value>::EXPECTED),
                            hint: format!("it is given in {}: {}", $unit, $help),
                        })?;
                    })+
                    _ => return Err(unknown_key(key)),
                }
                Ok(())
            }

            /// A setting as it stands in a file.
            pub fn get(&self, key: &str) -> Option<String> {
                match key {
                    $(stringify!($key) => Some(self.$key.toml()),)+
                    _ => None,
                }
            }
        }
    };
}

settings! {
    model: String, "name", "score function; gossamer ls lists them";
    dim: usize, "coordinates", "size of an embedding; a complex coordinate takes two floats";
    rows: String, "f32 or row code", "how entity rows stand in memory while they are learned: bf16, int8 and int4 take half, a quarter and an eighth";
    partitions: usize, "partitions", "how many partitions entity rows are dealt to, anew in each epoch; a few are learned from at a time, and where memory is short the others are on disk";
    in_memory: usize, "partitions", "how many partitions are learned from at a time";
    decoded: bool, "true or false", "with partitions and a row code: rows are floats while they are learned from, and are rounded once when their turn is over";
    blocks: String, "terms", "what autosf adds up: signed products of one of four blocks each of head, relation and tail";
    layer: String, "name", "layer of the network that makes the rows; none: rows are their own";
    layers: usize, "layers", "how many layers a network has";
    layer_dropout: f32, "1", "part of the floats between layers that is zero in a step, the others growing";
    layer_rate: f32, "1", "size of a step of a network's layers, as a multiple of that of its tables";
    layer_every: usize, "steps", "steps between two passes of a network; rows move by themselves in between";
    edge_dropout: f32, "1", "part of the entries between neighbours that is left out in a step, the others growing";
    residual: bool, "true or false", "add a layer's rows to those it was given";
    reversible: bool, "true or false", "let each layer work on half of a row and add to the other, so that nothing is kept of it";
    activations: String, "codec", "how a network keeps what its way back needs: exact, a codec, or auto:BITS for bits by need";
    form: String, "name", "training form: 1-vs-all, k-vs-all, sampled-softmax or negative-sampling";
    loss: String, "name", "loss";
    label_smoothing: f32, "1", "part of each label that is spread over all entities (1-vs-all, k-vs-all)";
    dropout: f32, "1", "part of the known entity's and the relation's floats that is zero in a step, the others growing";
    reciprocal: bool, "true or false", "give each relation a second row for predicting heads";
    precision: Precision, "f32 or bf16", "factors of products over entities (not where queries have negatives of their own) and predicted relations; bf16 is faster where the processor has AMX, or AMD's AVX-512";
    optimiser: String, "name", "optimiser";
    learning_rate: f32, "1", "size of a step";
    schedule: String, "name", "how the step's size moves over the epochs";
    regulariser: String, "name", "penalty on large rows";
    regularisation: f32, "1", "weight of the penalty; 0 for none";
    relation_prediction: f32, "1", "weight of predicting each triple's relation from its entities; 0 for none";
    query_regularisation: f32, "1", "weight of dura's penalty on queries, as a multiple of that on answers";
    batch: usize, "queries", "queries per step; with 1-vs-all and sampled-softmax a query brings several answers";
    answers: usize, "answers", "most answers a query brings to a step of 1-vs-all or sampled-softmax; 0: all";
    negatives: usize, "entities", "entities drawn as negatives for a query, for a block of queries, or with sampled-softmax for a step";
    negative_sampler: String, "name", "how negatives are drawn";
    shared_negatives: bool, "true or false", "one set of negatives for a block of queries";
    block: usize, "queries", "queries that share a set of negatives: more of them touch fewer rows";
    margin: f32, "score", "added to every score (self-adversarial); wanted distance (margin)";
    temperature: f32, "1/score", "sharpness of the weights of negatives (self-adversarial); what cosines are divided by (diffkg)";
    initial: f32, "1", "deviation or bound of the first entity values";
    initial_mean: f32, "1", "mean of the first entity values: where they are alike, each triple teaches its entities something of its relation at once";
    initial_relation: f32, "1", "deviation or bound of the first relation values; 0: what the score function wants, or as the entities'";
    epochs: usize, "epochs", "most passes over the training triples";
    validate_every: usize, "epochs", "how often validation MRR is measured";
    patience: usize, "validations", "validations without a better MRR before training ends; 0: never";
    validation_limit: usize, "triples", "triples of the validation split that are judged, at most";
    seed: u64, "number", "seed of every random choice";
}

/// The name of rows that stand in no code.
pub const ROWS: &str = "f32";

/// The name of no layer.
pub const NO_LAYER: &str = "none";

/// Names that people know from other tools, accepted in files and answered with ours.
pub static ALIASES: &[(&str, &str)] = &[
    ("embedding_dim", "dim"),
    ("hidden_dim", "dim"),
    ("lr", "learning_rate"),
    ("num_epochs", "epochs"),
    ("batch_size", "batch"),
    ("num_negs_per_pos", "negatives"),
    ("neg_sample_size", "negatives"),
    ("gamma", "margin"),
    ("lr_schedule", "schedule"),
    ("adversarial_temperature", "temperature"),
    ("create_inverse_triples", "reciprocal"),
    ("optimizer", "optimiser"),
    ("regularizer", "regulariser"),
];

fn unknown_key(key: &str) -> Error {
    let near = nearest(key, SETTINGS.iter().map(|setting| setting.key), 1);
    let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    Error::Setting {
        key: key.to_string(),
        what: "there is no such setting".into(),
        hint: match near.first() {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("known: {}", known.join(", ")),
        },
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::for_function(score::ALL[0])
    }
}

impl Config {
    /// What suits a score function where the user says nothing.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn for_model(model: &str) -> Result<Self, Error> {
        Ok(Self::for_function(score::find(model)?))
    }

    fn for_function(function: &dyn ScoreFunction) -> Self {
        let habits = function.habits();
        let (dim, margin) = (100, 9.0);
        Self {
            model: function.name().to_string(),
            dim,
            rows: ROWS.into(),
            partitions: 1,
            in_memory: 2,
            decoded: false,
            blocks: score::autosf::DEFAULT.into(),
            layer: NO_LAYER.into(),
            layers: 1,
            layer_dropout: 0.0,
            layer_rate: 1.0,
            edge_dropout: 0.0,
            layer_every: 1,
            residual: true,
            reversible: false,
            activations: "exact".into(),
            form: habits.form.into(),
            loss: habits.loss.into(),
            label_smoothing: 0.0,
            dropout: 0.0,
            reciprocal: habits.reciprocal,
            precision: Precision::F32,
            optimiser: habits.optimiser.into(),
            learning_rate: habits.learning_rate,
            schedule: habits.schedule.into(),
            regulariser: "n3".into(),
            regularisation: habits.regularisation,
            relation_prediction: habits.relation_prediction,
            query_regularisation: 1.0,
            batch: habits.batch,
            answers: 16,
            negatives: 256,
            negative_sampler: "uniform".into(),
            shared_negatives: true,
            block: 128,
            margin,
            temperature: 1.0,
            initial: habits.first_scale(dim, margin),
            initial_mean: 0.0,
            initial_relation: 0.0,
            epochs: 40,
            validate_every: 5,
            patience: 4,
            validation_limit: 10_000,
            seed: 0,
        }
    }

    /// The score function.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn score_function(&self) -> Result<&'static dyn ScoreFunction, Error> {
        let function = score::find(&self.model)?;
        let shaped = function.of_blocks(&self.blocks).unwrap_or(Ok(function));
        shaped.map_err(|what| Error::Setting {
            key: "blocks".into(),
            what,
            hint: format!("write terms such as {}", score::autosf::DEFAULT),
        })
    }

    /// What entity rows are encoded in; none where they are floats.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn row_code(&self) -> Result<Option<&'static dyn RowCode>, Error> {
        if self.rows == ROWS {
            return Ok(None);
        }
        Ok(Some(row_code::find(&self.rows)?))
    }

    /// First values of entity rows and relation rows.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn initial_values(&self) -> Result<(Initial, Initial), Error> {
        let function = self.score_function()?;
        let scaled = |scale| match function.habits().initial {
            Initial::Normal(_) => Initial::Normal(scale),
            Initial::Uniform(_) => Initial::Uniform(scale),
        };
        let entity = scaled(self.initial);
        let usual = || function.initial_relation().unwrap_or(entity);
        let own = (self.initial_relation > 0.0).then(|| scaled(self.initial_relation));
        Ok((entity, own.unwrap_or_else(usual)))
    }

    /// The complete configuration as a TOML file, each setting with its unit and meaning.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# A gossamer run, complete: gossamer train GRAPH --config FILE repeats it.\n",
        );
        for setting in SETTINGS {
            let value = self.get(setting.key).unwrap_or_default();
            text +=
                &format!("\n# {} [{}]\n{} = {value}\n", setting.help, setting.unit, setting.key);
        }
        text
    }

    /// The settings that a TOML text holds, with our names, and a line for each alias that it used.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is no TOML, or no setting of ours.
    #[allow(clippy::type_complexity)]
    pub fn read_toml(text: &str) -> Result<(Vec<(String, String)>, Vec<String>), Error> {
        let table: toml::Table = toml::from_str(text).map_err(|error| Error::Setting {
            key: "config".into(),
            what: error.to_string().trim_end().to_string(),
            hint: "the file is TOML: lines such as dim = 100".into(),
        })?;
        let (mut settings, mut notes) = (Vec::new(), Vec::new());
        for (key, value) in table {
            let alias = ALIASES.iter().find(|(alias, _)| *alias == key);
            let name = alias.map_or(key.as_str(), |(_, name)| name);
            if alias.is_some() {
                notes.push(format!("config: '{key}' is called '{name}' here"));
            }
            if !SETTINGS.iter().any(|setting| setting.key == name) {
                return Err(unknown_key(&key));
            }
            let value = match value {
                toml::Value::String(text) => text,
                other => other.to_string(),
            };
            settings.push((name.to_string(), value));
        }
        Ok((settings, notes))
    }

    /// A configuration from settings, the later of equal ones counting; what they do not say has
    /// the default of its model, suited to a graph of `(entities, triples)` where one is given.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::Unknown`].
    pub fn from_settings(
        settings: &[(String, String)],
        graph: Option<(u64, u64)>,
    ) -> Result<Self, Error> {
        let model = settings.iter().rev().find(|(key, _)| key == "model");
        let mut config = match model {
            Some((_, name)) => Self::for_model(name.trim())?,
            None => Self::default(),
        };
        let said = |wanted: &str| settings.iter().any(|(key, _)| key == wanted);
        let with_settings = |mut config: Self| {
            settings.iter().try_for_each(|(key, value)| config.set(key, value))?;
            Ok::<Self, Error>(config)
        };
        let chosen = with_settings(config.clone())?;
        if chosen.rows != ROWS {
            config = config.suited_to_codes(&chosen);
        }
        if let Some((n_entities, n_triples)) = graph {
            config = config.suited_to(n_entities, n_triples);
            let chosen = with_settings(config.clone())?;
            if chosen.draws(n_entities, said("form")) {
                config = config.suited_to_drawing(n_entities, n_triples, chosen.dim);
            }
        }
        let habitual = config.form.clone();
        let by_rows = with_settings(config.clone())?.learns_by_rows();
        if by_rows {
            config = config.suited_to_rows();
        }
        config = with_settings(config)?;
        if config.form != habitual && !said("relation_prediction") {
            // It was found to help beside the habitual form; elsewhere it can cost more than that.
            config.relation_prediction = 0.0;
        }
        if !said("initial") && !by_rows {
            let habits = config.score_function()?.habits();
            config.initial = habits.first_scale(config.dim, config.margin);
        }
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::suited::DRAWING;
    use super::*;

    #[test]
    fn a_written_configuration_reads_back_the_same() {
        for function in score::ALL {
            let mut config = Config::for_model(function.name()).unwrap();
            config.seed = 77;
            config.learning_rate = 0.037;
            config.check().unwrap();
            let (settings, notes) = Config::read_toml(&config.to_toml()).unwrap();
            assert!(notes.is_empty());
            assert_eq!(Config::from_settings(&settings, None).unwrap(), config);
        }
    }

    #[test]
    fn defaults_suit_the_graphs_they_were_found_on() {
        for (name, graph, expected) in [
            ("fb15k-237", (14_541, 272_115), (0.05, 0.5, 20, 512)),
            ("wn18rr", (40_943, 86_835), (0.1, 0.0, 20, 512)),
            ("codex-s", (2034, 32_888), (0.01, 0.125, 40, 256)),
            ("umls", (135, 5216), (0.01, 0.0, 200, 16)),
            ("kinship", (104, 8544), (0.01, 0.0, 200, 26)),
            ("the demo's", (1183, 5094), (0.1, 0.0, 40, 79)),
        ] {
            let config = Config::from_settings(&[], Some(graph)).unwrap();
            let Config { regularisation, relation_prediction, epochs, batch, .. } = config;
            assert_eq!((regularisation, relation_prediction, epochs, batch), expected, "{name}");
        }
    }

    #[test]
    fn drawing_some_of_many_entities_gives_way_to_what_is_said() {
        let graph = Some((14_541, 272_115));
        let of = |settings: &[(&str, &str)]| {
            let owned = settings.iter().map(|(key, value)| ((*key).into(), (*value).into()));
            Config::from_settings(&owned.collect::<Vec<_>>(), graph).unwrap()
        };
        let usual = of(&[]);
        assert_eq!((usual.form.as_str(), usual.learning_rate), (DRAWING, 0.5));
        assert_eq!(of(&[("dim", "800")]).learning_rate, 0.25);
        assert_eq!(of(&[("learning_rate", "0.3"), ("dim", "800")]).learning_rate, 0.3);
        let all = of(&[("form", "1-vs-all")]);
        assert_eq!((all.learning_rate, all.epochs, all.relation_prediction), (0.1, 40, 0.0));
        for (key, value) in [("optimiser", "adam"), ("label_smoothing", "0.1"), ("model", "rescal")]
        {
            assert_eq!(of(&[(key, value)]).form, "1-vs-all", "{key}");
        }
        assert_eq!(of(&[("optimiser", "adagrad"), ("loss", "softmax-cross-entropy")]), usual);
        assert_eq!(of(&[("form", DRAWING)]), usual);
        assert_eq!(of(&[("model", "rotate")]).form, "negative-sampling");
        assert_eq!(Config::from_settings(&[], Some((5000, 90_000))).unwrap().form, "1-vs-all");
    }

    #[test]
    fn encoded_rows_bring_one_accumulator_a_row_and_what_suits_it() {
        let graph = Some((14_541, 272_115));
        let whole = |settings: &[(&str, &str)]| {
            let owned = settings.iter().map(|(key, value)| ((*key).into(), (*value).into()));
            Config::from_settings(&owned.collect::<Vec<_>>(), graph).unwrap()
        };
        let of = |settings: &[(&str, &str)]| {
            let config = whole(settings);
            (config.optimiser, config.form, config.learning_rate, config.initial)
        };
        let by_rows = of(&[("rows", "int8")]);
        assert_eq!(by_rows, ("rowwise-adagrad".into(), DRAWING.into(), 0.4, 0.1));
        assert_eq!(of(&[("optimiser", "rowwise-adagrad")]), by_rows);
        let said = of(&[("rows", "int8"), ("optimiser", "adagrad"), ("form", "1-vs-all")]);
        assert_eq!(said, ("adagrad".into(), "1-vs-all".into(), 0.1, 1e-3));
        let own = [("rows", "int8"), ("learning_rate", "0.05"), ("initial", "0.3")];
        assert_eq!((of(&own).2, of(&own).3), (0.05, 0.3));
        assert_eq!(of(&[("rows", "int8"), ("form", "1-vs-all")]).2, 0.2);
        // Distances have another habit.
        assert_eq!(of(&[("rows", "int8"), ("model", "rotate")]).0, "adam");
        // Four bits are too few to be changed where they stand, if that can be helped.
        let decoded = |said: &[(&str, &str)]| whole(said).decoded;
        let int4 = [("rows", "int4"), ("partitions", "8")];
        assert!(decoded(&int4) && !decoded(&int4[..1]));
        assert!(!decoded(&[int4[0], int4[1], ("decoded", "false")]));
        assert!(!decoded(&[("rows", "int8"), int4[1]]));
    }

    #[test]
    fn aliases_are_answered_and_nonsense_is_refused() {
        let (settings, notes) =
            Config::read_toml("embedding_dim = 12\nmodel = \"rotate\"").unwrap();
        assert_eq!(notes, ["config: 'embedding_dim' is called 'dim' here"]);
        let config = Config::from_settings(&settings, None).unwrap();
        assert_eq!((config.dim, config.model.as_str()), (12, "rotate"));
        for (text, part) in [
            ("dimm = 3", "did you mean 'dim'"),
            ("dim = \"many\"", "is not a whole number"),
            ("dim = 0", "at least 1"),
            ("model = \"complx\"", "did you mean 'complex'"),
            ("learning_rate = -1", "no step size"),
            ("dim = = 3", "TOML"),
        ] {
            let result = Config::read_toml(text).and_then(|(s, _)| Config::from_settings(&s, None));
            let said = result.unwrap_err().to_string();
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
