//! Spans: steps that rows take as tables of their own between two passes of a network.
//!
//! Rows are what the network was given, plus its branches: x + f(x). A pass over the whole graph costs
//! as much as many steps of a score function, and f changes slowly. So within a span f(x) stays what it
//! was made, the form's optimiser moves the rows, and their gradients are gathered. At its end these go
//! back through f at once, x moves as far as the rows did, and all rows are made anew.
//!
//! With spans of one step this would be learning through the network step by step, but for x, whose
//! own gradient and whose gradient through f then are two steps.
//!
//! *Invariant:* a span stands in checkpoints, so a resumed run ends with the same bytes.

use gossamer_machine::Machine;
use gossamer_tensor::array::Array;
use gossamer_tensor::optim::{Optimiser, Step};

use crate::form::step::Learner;
use crate::network::Network;
use crate::table::{Part, Table, Touched};

/// Where a span stands.
#[derive(Default)]
pub struct Span {
    /// Steps of a whole span.
    pub n_steps: u64,
    /// Steps since the pass.
    since: u64,
    /// The number of steps before the pass: the address of its random numbers.
    pub began: u64,
    /// The rows of entities and of relations that the pass made.
    made: Vec<Array>,
}

impl Span {
    /// One of so many steps, before its first pass.
    pub fn new(n_steps: usize) -> Self {
        Self { n_steps: n_steps as u64, ..Self::default() }
    }

    /// True if there is a span to end.
    pub fn is_open(&self) -> bool {
        !self.made.is_empty()
    }

    /// True if the next step wants new rows.
    pub fn is_over(&self) -> bool {
        !self.is_open() || self.since >= self.n_steps
    }

    /// Begins: these are the rows that were made.
    pub fn begin(&mut self, learner: &Learner, machine: &Machine) {
        let tables = [&learner.model.entities, &learner.model.relations];
        self.made = tables.map(|table| array(table, table.n_rows(), machine)).into();
        (self.since, self.began) = (0, learner.steps);
    }

    /// A step was taken.
    pub fn count(&mut self) {
        self.since += 1;
    }

    /// Moves the network's tables as far as the rows moved; what was made is what they are now.
    pub fn follow(&mut self, learner: &Learner, network: &mut Network) {
        let tables = [&learner.model.entities, &learner.model.relations];
        for ((made, now), own) in self.made.iter_mut().zip(tables).zip(&mut network.parameters) {
            let own = own.values.chunks_exact_mut(made.width);
            let made = made.values.chunks_exact_mut(now.width());
            let mut room = Vec::new();
            for ((id, made), own) in (0..now.n_rows() as u32).zip(made).zip(own) {
                let now = now.row(id, &mut room);
                for ((own, made), now) in own.iter_mut().zip(made).zip(now) {
                    *own += now - *made;
                    *made = *now;
                }
            }
        }
    }

    /// Ends it before its time: the next step makes rows anew.
    pub fn cut(&mut self, learner: &Learner, machine: &Machine) {
        let began = self.began;
        self.begin(learner, machine);
        (self.since, self.began) = (self.n_steps, began);
    }

    /// For a checkpoint.
    pub fn tables(&self) -> Vec<(String, Table)> {
        let numbers = [self.since as f32, self.began as f32];
        let fill = |_, row: &mut [f32]| row.copy_from_slice(&numbers);
        let made = self.made.iter().enumerate();
        let made = made.map(|(place, array)| (format!("made.{place}"), table(array)));
        std::iter::once(("span".to_string(), Table::filled(1, 2, fill))).chain(made).collect()
    }

    /// Takes over what [`tables`](Self::tables) gave.
    pub fn restore(&mut self, take: &mut dyn FnMut(&str) -> Option<Table>, machine: &Machine) {
        if let Some(numbers) = take("span") {
            let mut room = Vec::new();
            let row = numbers.row(0, &mut room);
            (self.since, self.began) = (row[0] as u64, row[1] as u64);
        }
        let made = ["made.0", "made.1"].into_iter().map_while(take);
        self.made = made.map(|table| array(&table, table.n_rows(), machine)).collect();
    }
}

/// An optimiser that gathers gradients behind the state of another, or forgets them.
pub struct Gather<'a> {
    /// The other.
    pub optimiser: &'a dyn Optimiser,
    /// True if it gathers.
    pub gathers: bool,
}

impl Optimiser for Gather<'_> {
    fn name(&self) -> &'static str {
        self.optimiser.name()
    }
    fn summary(&self) -> &'static str {
        self.optimiser.summary()
    }
    fn formula(&self) -> &'static str {
        self.optimiser.formula()
    }
    fn paper(&self) -> &'static str {
        self.optimiser.paper()
    }
    fn state_width(&self, width: usize) -> usize {
        self.optimiser.state_width(width) + width
    }
    fn update(&self, step: &Step, row: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        let (state, sum) = state.split_at_mut(state.len() - row.len());
        match self.gathers {
            true => sum.iter_mut().zip(gradient).for_each(|(sum, gradient)| *sum += gradient),
            false => sum.fill(0.0),
        }
        self.optimiser.update(step, row, state, gradient);
    }
}

/// What was gathered for each row; rows of zeros up to so many.
pub fn gathered(state: &Table, [rows, width]: [usize; 2], machine: &Machine) -> Array {
    if width == 0 {
        return Array::default();
    }
    let mut sums = Array::zeroed(&machine.buffers, rows, width);
    let out = sums.values.chunks_exact_mut(width);
    let mut room = Vec::new();
    for (id, out) in (0..state.n_rows() as u32).zip(out) {
        out.copy_from_slice(&state.row(id, &mut room)[state.width() - width..]);
    }
    sums
}

/// Changes rows by gradients that came through the network, and forgets what was gathered.
pub fn change(
    rows: &mut Table,
    state: &mut Table,
    gradient: &Array,
    (optimiser, step): (&dyn Optimiser, &Step),
    machine: &Machine,
) {
    let of_part = |(): &mut (), part: &Part<'_>, out: &mut [f32]| {
        let out = out.chunks_exact_mut(gradient.width);
        for (id, out) in part.ids.iter().zip(out) {
            out.copy_from_slice(gradient.row(*id as usize));
        }
    };
    let optimiser = Gather { optimiser, gathers: false };
    let step: (&dyn Optimiser, &Step) = (&optimiser, step);
    rows.apply(state, machine, step, Touched::All, || (), &of_part);
}

/// A table's rows, and rows of zeros up to so many.
pub fn array(table: &Table, rows: usize, machine: &Machine) -> Array {
    let mut array = Array::zeroed(&machine.buffers, rows, table.width());
    let out = array.values.chunks_exact_mut(table.width());
    (0..table.n_rows() as u32).zip(out).for_each(|(id, row)| table.copy(id, row));
    array
}

/// An array as a table.
pub fn table(array: &Array) -> Table {
    let row = |id: u32, row: &mut [f32]| row.copy_from_slice(array.row(id as usize));
    Table::filled(array.rows, array.width, row)
}
