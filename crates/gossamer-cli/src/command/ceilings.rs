//! What `gossamer bench` measures: the machine's ceilings, and the kernels under them.

use std::time::Instant;

use gossamer::config::Precision;
use gossamer::evaluate::{Candidates, Judge, Known};
use gossamer::form::batch::{Batch, Examples, Portion, portions};
use gossamer::form::step::{Learner, Method};
use gossamer::{Config, Model, Silent, form};
use gossamer_graph::{Adjacency, Triples};
use gossamer_machine::{Address, Purpose};
use gossamer_tensor::codec;
use gossamer_tensor::kernel::tile::{Factor, Operands, Pair, STRIP, TILE_ROWS};

use crate::exit::Failure;
use crate::terminal::Context;

/// A measured figure.
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// Floating-point operations that were needed, a second, in billions.
    pub gflops: Option<f64>,
    /// The machine's most.
    pub ceiling: Option<f64>,
}

impl Figure {
    /// Its part of the machine's most.
    pub fn share(&self) -> Option<f64> {
        Some(self.gflops? / self.ceiling?)
    }
}

/// The graph that is made up.
#[derive(Clone, Copy)]
pub struct Shape {
    pub n_entities: usize,
    pub n_relations: usize,
    pub n_triples: usize,
    pub dim: usize,
}

pub struct Measuring<'a> {
    shape: Shape,
    seconds: f64,
    context: &'a Context,
    triples: Triples,
    adjacency: Adjacency,
    portions: Vec<Portion>,
}

impl<'a> Measuring<'a> {
    /// Makes such a graph; each figure takes so many seconds.
    pub fn new(shape: Shape, seconds: f64, context: &'a Context) -> Self {
        let address = Address::new(0, Purpose::Synthetic, 0);
        // Few entities and relations are in most triples, as in real graphs.
        let drawn = |row: usize, place: u32, n: usize, power: i32| {
            let [x, ..] = address.symmetric(row as u32, place);
            let part = f64::from(x).abs().min(0.999_999).powi(power);
            (part * n as f64) as u32
        };
        let row = |i: usize| {
            let (n, head) = (shape.n_entities, drawn(i, 0, shape.n_entities, 3));
            [head, drawn(i, 1, shape.n_relations, 3), drawn(i, 2, n, 3)]
        };
        let triples = Triples::from_rows((0..shape.n_triples).map(row).collect());
        let adjacency = Adjacency::build(shape.n_entities, &[&triples]);
        let portions = portions(&adjacency, 16);
        Self { shape, seconds, context, triples, adjacency, portions }
    }

    /// All figures: the ceilings first.
    ///
    /// # Errors
    /// Those of the settings.
    pub fn all(&self) -> Result<Vec<Figure>, Failure> {
        let (f32_peak, bf16_peak) = (self.tiles::<f32>(), self.tiles::<Pair>());
        let ceiling = |name: &str, value: f64| Figure {
            name: name.into(),
            value,
            unit: "GFLOP/s",
            gflops: None,
            ceiling: None,
        };
        let mut figures = vec![
            ceiling("product tiles in cache, f32", f32_peak),
            ceiling("product tiles in cache, bf16", bf16_peak),
            Figure { unit: "GB/s", ..ceiling("copy, read and written", self.copy()) },
        ];
        let over_all = |model: &str| {
            let mut config = Config::for_model(model)?;
            (config.dim, config.relation_prediction) = (self.shape.dim, 0.0);
            Ok::<Config, gossamer::Error>(config)
        };
        let mut learned = None;
        for (precision, precision_name, peak) in
            [(Precision::F32, "f32", f32_peak), (Precision::Bf16, "bf16", bf16_peak)]
        {
            let config = Config { precision, ..over_all("complex")? };
            let name = format!("complex, softmax over all entities, {precision_name}");
            figures.extend(self.softmax(&config, &name, peak)?);
            let drawing =
                Config { form: "sampled-softmax".into(), negatives: 1024, batch: 512, ..config };
            let (drawn, [queries, answers]) = self.learned(&drawing, &self.portions)?;
            learned = Some(drawn);
            for (value, unit) in [(queries, "queries/s"), (answers, "answers/s")] {
                let name = format!("complex, softmax over 1024 drawn entities, {precision_name}");
                figures.push(Figure { name, value, unit, gflops: None, ceiling: None });
            }
        }
        for (model, shared, unit) in [
            ("complex", true, "complex, 128 shared negatives"),
            ("transe", false, "transe, 128 own negatives"),
            ("rotate", false, "rotate, 128 own negatives"),
        ] {
            let mut config = Config::for_model(model)?;
            config.dim = if model == "transe" { 2 * self.shape.dim } else { self.shape.dim };
            config.dim = if model == "rotate" { 2 * self.shape.dim } else { config.dim };
            (config.form, config.shared_negatives) = ("negative-sampling".into(), shared);
            // Two thousand positives touch most of the table: the optimiser's share is halved.
            (config.batch, config.negatives, config.relation_prediction) = (2048, 128, 0.0);
            if shared {
                config.loss = "softmax-cross-entropy".into();
            }
            let per_second = self.steps(&config, &self.portions)?[1];
            let (name, unit) = (unit.to_string(), "positives/s");
            figures.push(Figure { name, value: per_second, unit, gflops: None, ceiling: None });
        }
        figures.extend(self.rankings(learned.as_ref(), bf16_peak)?);
        figures.extend(self.codecs());
        Ok(figures)
    }

    /// GB/s of f32 that one thread encodes and decodes.
    fn codecs(&self) -> Vec<Figure> {
        const FLOATS: usize = 1 << 18;
        let isa = self.context.machine.instruction_set;
        let address = Address::new(0, Purpose::Synthetic, 1);
        let mut values: Vec<f32> = (0..FLOATS as u32).map(|i| address.normal(i, 0)).collect();
        let mut figures = Vec::new();
        for codec in codec::ALL {
            let mut codes = vec![0; codec.bytes_for(FLOATS)];
            let (encoded, seconds) = self.repeat(|| {
                std::hint::black_box(codec.encode(isa, 1, &values, &mut codes));
            });
            let rates = [encoded / seconds, {
                let (decoded, seconds) = self.repeat(|| codec.decode(isa, &codes, &mut values));
                decoded / seconds
            }];
            for (what, rate) in ["encoded", "decoded"].into_iter().zip(rates) {
                let name = format!("{} {what}, one thread", codec.name());
                let value = rate * (4 * FLOATS) as f64 / 1e9;
                figures.push(Figure { name, value, unit: "GB/s", gflops: None, ceiling: None });
            }
        }
        figures
    }

    /// Repeats work until its time is up; returns how often it was done and the seconds it took.
    fn repeat(&self, mut work: impl FnMut()) -> (f64, f64) {
        work();
        let (start, mut times) = (Instant::now(), 0.0);
        loop {
            work();
            times += 1.0;
            let seconds = start.elapsed().as_secs_f64();
            if seconds >= self.seconds {
                return (times, seconds);
            }
        }
    }

    /// GFLOP/s of product tiles whose operands stay in the first cache, on all threads.
    fn tiles<T: Factor>(&self) -> f64 {
        const DEPTH: usize = 64;
        const TILES: usize = 2000;
        let machine = &self.context.machine;
        let (isa, n_threads) = (machine.instruction_set, machine.workers.n_threads());
        let rows = T::height(isa, TILE_ROWS);
        let (left, right) = ([T::default(); TILE_ROWS * DEPTH], [T::default(); STRIP * DEPTH]);
        let (times, seconds) = self.repeat(|| {
            let sums = machine.workers.map(n_threads, |_| {
                let (mut out, ready) = ([[0.0; STRIP]; TILE_ROWS], T::ready(isa));
                let mut sum = 0.0;
                for _ in 0..TILES {
                    let operands =
                        Operands { depth: DEPTH, left: &left, row: DEPTH, step: 1, right: &right };
                    T::tile(&ready, rows, false, std::hint::black_box(&operands), &mut out);
                    sum += out[0][0];
                }
                sum
            });
            std::hint::black_box(sums);
        });
        let operations = 2 * TILES * n_threads * rows * DEPTH * STRIP * T::NUMBERS;
        times * operations as f64 / seconds / 1e9
    }

    /// GB/s of copying more than any cache holds, on all threads.
    fn copy(&self) -> f64 {
        const FLOATS: usize = 1 << 24;
        let workers = &self.context.machine.workers;
        let mut buffers: Vec<_> =
            (0..workers.n_threads()).map(|_| (vec![1.0f32; FLOATS], vec![0.0; FLOATS])).collect();
        let (times, seconds) = self.repeat(|| {
            workers.each(buffers.iter_mut().collect(), |(from, to)| {
                to.copy_from_slice(from);
                std::hint::black_box(to);
            });
        });
        times * (8 * FLOATS * workers.n_threads()) as f64 / seconds / 1e9
    }

    /// Queries and triples a second, with equal queries of a batch joined and with each apart.
    fn softmax(&self, config: &Config, name: &str, peak: f64) -> Result<Vec<Figure>, Failure> {
        let width = config.score_function()?.widths(config.dim).query;
        let operations = 6.0 * self.shape.n_entities as f64 * width as f64 / 1e9;
        let apart = portions(&self.adjacency, 1);
        let mut figures = Vec::new();
        for (portions, grouping) in [(&self.portions, "grouped"), (&apart, "each answer apart")] {
            let [queries, triples] = self.steps(config, portions)?;
            let figure = |value: f64, unit: &'static str, gflops: Option<f64>| Figure {
                name: format!("{name}, {grouping}"),
                value,
                unit,
                gflops,
                ceiling: gflops.and(Some(peak)),
            };
            figures.push(figure(queries, "queries/s", Some(queries * operations)));
            figures.push(figure(triples, "answers/s", None));
        }
        Ok(figures)
    }

    /// Distinct queries and answers learned from, a second.
    fn steps(&self, config: &Config, portions: &[Portion]) -> Result<[f64; 2], Failure> {
        Ok(self.learned(config, portions)?.1)
    }

    /// The same, and the model that learned meanwhile.
    fn learned(&self, config: &Config, portions: &[Portion]) -> Result<(Model, [f64; 2]), Failure> {
        const KEPT_BYTES: u64 = 1 << 26;
        let machine = &self.context.machine;
        let form = form::of(config)?;
        let method = Method::new(config, KEPT_BYTES, machine.instruction_set)?;
        let model = Model::initial(
            config,
            [self.shape.n_entities, self.shape.n_relations],
            &self.context.machine.workers,
        )?;
        let mut learner = Learner::new(model, method.optimiser);
        let (triples, adjacency, side_weights) = (&self.triples, &self.adjacency, None);
        let examples = Examples {
            triples,
            adjacency,
            portions,
            side_weights,
            pools: None,
            residents: None,
            alternatives: None,
        };
        let n_items = form.n_items(examples);
        let mut losses = Vec::new();
        // Items far from each other, so that a batch is as mixed as a shuffled one.
        let items = |step: u64| -> Vec<u64> {
            let first = step * config.batch as u64;
            let item = |i: u64| (first + i).wrapping_mul(2_654_435_761) % n_items;
            (0..config.batch as u64).map(item).collect()
        };
        let (_, seconds) = self.repeat(|| {
            let items = items(losses.len() as u64);
            losses.push(form.step(&mut learner, examples, &items, &method, machine));
        });
        // The first step is not timed, and what was joined is counted when time has stopped.
        let answers: f64 = losses[1..].iter().map(|loss| loss.weight).sum();
        let joined = |step: usize| Batch::of_portions(examples, &items(step as u64)).len();
        let queries = match form.over_all() {
            true => (1..losses.len()).map(joined).sum::<usize>() as f64,
            false => answers,
        };
        Ok((learner.model, [queries / seconds, answers / seconds]))
    }

    /// Filtered ranks a second: of a model that has learned, and of models that have not.
    fn rankings(&self, learned: Option<&Model>, peak: f64) -> Result<Vec<Figure>, Failure> {
        let mut figures = Vec::new();
        if let Some(model) = learned {
            figures.push(self.ranks(model, "complex, filtered ranks", Some(peak))?);
        }
        for (model, name) in [
            ("complex", "complex, filtered ranks, nothing learned"),
            ("transe", "transe, filtered ranks"),
            ("rotate", "rotate, filtered ranks"),
        ] {
            let mut config = Config::for_model(model)?;
            config.dim = if model == "complex" { self.shape.dim } else { 2 * self.shape.dim };
            let sizes = [self.shape.n_entities, self.shape.n_relations];
            let peak = (model == "complex").then_some(peak);
            let model = Model::initial(&config, sizes, &self.context.machine.workers)?;
            figures.push(self.ranks(&model, name, peak)?);
        }
        Ok(figures)
    }

    /// Filtered ranks a second of a model.
    fn ranks(&self, model: &Model, name: &str, peak: Option<f64>) -> Result<Figure, Failure> {
        let asked: Vec<[u32; 3]> =
            (0..self.triples.len().min(1024)).map(|i| self.triples.get(i)).collect();
        let (parts, candidates) = ([&self.triples], &Candidates::All);
        let known = Known::new(&parts);
        let judge = Judge { model, known, candidates, machine: &self.context.machine };
        let mut failed = None;
        let (times, seconds) = self.repeat(|| {
            failed = judge.ranks(&asked, "ranking", &Silent).err();
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        let value = times * 2.0 * asked.len() as f64 / seconds;
        let operations = 2.0 * (self.shape.n_entities * model.query_width()) as f64 / 1e9;
        Ok(Figure {
            name: name.into(),
            value,
            unit: "ranks/s",
            gflops: peak.map(|_| value * operations),
            ceiling: peak,
        })
    }
}
