//! Bodies: what makes the rows of users and items that are compared.
//!
//! A score is Σ over sides of ⟨a row for the user, a row for the item⟩. Rows are those of arrays that a
//! forward pass makes: a node's, one for all, or made for a pair.
//!
//! *Invariant:* a forward pass is a function of parameters and the tape's address.
//! *Not here:* pairs, losses and steps ([`pairwise`](super::pairwise)).

use gossamer_machine::{Machine, Observer};
use gossamer_tensor::array::Array;
use gossamer_tensor::codec::float32::Float32;
use gossamer_tensor::optim::{Optimiser, Step};
use gossamer_tensor::tape::gradient::Gradient;
use gossamer_tensor::tape::rows::Rows;
use gossamer_tensor::tape::{Gradients, Parameter, Tape, Var};

use super::Settings;
use super::batch::Batch;
use super::scores::{Learned, Matrix};
use crate::error::Error;
use crate::layer::Shape;
use crate::network::update;

/// Which row of an array is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// That of the user or item, so many rows after the array's first.
    From(usize),
    /// This one, whoever it is.
    One(usize),
    /// The next, pair by pair and item by item of a pair.
    Next,
}

/// An array by its place among those that a forward pass makes, and a row of it.
pub type At = (usize, Place);

/// A row for the user, and one for the item, that are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// The user's.
    pub user: At,
    /// The item's.
    pub item: At,
}

/// What the loss of a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// −log of the softmax of the item's score among those of negatives.
    Softmax,
    /// −log σ(score) of the item, −log σ(−score) of negatives.
    Logistic,
}

/// Parameters on their way.
pub struct State {
    /// What is learned.
    pub parameters: Vec<Array>,
    /// The optimiser's state of each.
    pub states: Vec<Array>,
    /// Steps that were made.
    pub steps: u64,
}

/// What a body works with between epochs.
pub struct Between<'a> {
    /// Settings.
    pub settings: &'a Settings,
    /// Threads, instructions and arrays.
    pub machine: &'a Machine,
    /// Who may stop it.
    pub observer: &'a dyn Observer,
    /// Epochs that are done.
    pub epoch: u64,
}

impl State {
    /// True if every value is a finite number.
    pub fn is_finite(&self) -> bool {
        self.parameters.iter().all(|of| of.values.iter().all(|value| value.is_finite()))
    }

    /// Changes a parameter's rows that have a gradient.
    pub fn change(
        &mut self,
        place: usize,
        gradient: &Gradient,
        by: (&dyn Optimiser, &Step),
        machine: &Machine,
    ) {
        let (parameter, state) = (&mut self.parameters[place], &mut self.states[place]);
        match gradient.which().numbers() {
            Some(rows) => self.change_rows(place, (rows, gradient.values()), by, machine),
            None => update(parameter, state, gradient.values(), by, machine),
        }
    }

    /// Changes some rows of a parameter, ascending, each with its gradient.
    pub fn change_rows(
        &mut self,
        place: usize,
        (rows, gradient): (&[u32], &Array),
        (optimiser, step): (&dyn Optimiser, &Step),
        machine: &Machine,
    ) {
        /// Rows of a task.
        const TASK: usize = 128;
        let (parameter, state) = (&mut self.parameters[place], &mut self.states[place]);
        let (width, of_state) = (parameter.width, state.width);
        let (mut values, mut states) = (&mut parameter.values[..], &mut state.values[..]);
        let mut before = 0;
        let mut tasks = Vec::with_capacity(rows.len().div_ceil(TASK));
        for (at, rows) in rows.chunks(TASK).enumerate() {
            let [first, end] = [rows[0] as usize, rows[rows.len() - 1] as usize + 1];
            let [skipped, own] = [first - before, end - first];
            let values = cut(&mut values, [skipped * width, own * width]);
            let states = cut(&mut states, [skipped * of_state, own * of_state]);
            tasks.push((at * TASK, rows, values, states));
            before = end;
        }
        machine.workers.each(tasks, |(at, rows, values, states)| {
            for (at, row) in (at..).zip(rows) {
                let row = (row - rows[0]) as usize;
                let own = &mut values[row * width..][..width];
                let state = &mut states[row * of_state..][..of_state];
                optimiser.update(step, own, state, gradient.row(at));
            }
        });
    }
}

/// Takes so many floats off the front of others, after some that are skipped.
fn cut<'v>(all: &mut &'v mut [f32], [skipped, n]: [usize; 2]) -> &'v mut [f32] {
    let (_, others) = std::mem::take(all).split_at_mut(skipped);
    let (own, others) = others.split_at_mut(n);
    *all = others;
    own
}

/// Whose rows are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'p> {
    /// Those of pairs, to learn from.
    Pairs(&'p Batch),
    /// Those of all users and items.
    All,
}

impl Asked<'_> {
    /// A part to leave out, where something is learned.
    pub fn dropout(self, part: f32) -> f32 {
        if matches!(self, Self::All) { 0.0 } else { part }
    }

    /// The rows of users, so many after the first, ascending, of a table with n.
    pub fn users(self, first: usize, n: usize) -> Vec<u32> {
        self.rows(first, n, Batch::users)
    }

    /// The rows of items, in the same way.
    pub fn items(self, first: usize, n: usize) -> Vec<u32> {
        self.rows(first, n, Batch::items)
    }

    /// The rows of users, and of items after them, of a table with so many users and n rows.
    pub fn nodes(self, n_users: usize, n: usize) -> Vec<u32> {
        let mut nodes = self.users(0, n_users);
        nodes.extend(self.items(n_users, n - n_users));
        nodes
    }

    fn rows(self, first: usize, n: usize, of: fn(&Batch) -> &[u32]) -> Vec<u32> {
        let mut is_asked = vec![matches!(self, Self::All); n];
        if let Self::Pairs(pairs) = self {
            of(pairs).iter().for_each(|number| is_asked[*number as usize] = true);
        }
        let rows = (first as u32..).zip(is_asked).filter(|(_, is_asked)| *is_asked);
        rows.map(|(row, _)| row).collect()
    }
}

/// An array of rows, and which it has.
pub struct Made<'a> {
    /// The rows.
    pub rows: Var<'a>,
    /// Which these are.
    pub which: Rows,
}

impl<'a> From<Var<'a>> for Made<'a> {
    fn from(rows: Var<'a>) -> Self {
        Self { rows, which: Rows::All }
    }
}

impl<'a> Made<'a> {
    /// Those of a parameter's rows that are asked for, ascending; itself where most are.
    pub fn of(tape: &mut Tape<'a>, parameter: Parameter<'a>, which: Vec<u32>) -> Self {
        let all = parameter.var();
        if 2 * which.len() > all.value().rows {
            return all.into();
        }
        let which = Rows::these(which, all.value().rows);
        Self { rows: tape.pick_rows(&all, &which), which }
    }

    /// Where a row stands.
    pub fn find(&self, row: usize) -> usize {
        self.which.place(row as u32) as usize
    }
}

/// What makes rows.
pub trait Body {
    /// Its parameters.
    fn shapes(&self) -> Vec<Shape>;
    /// The parameters with a row of each user and of each item, which the penalty is on.
    fn tables(&self) -> [At; 2];
    /// What a score is made of.
    fn sides(&self) -> Vec<Side>;
    /// The loss of a pair.
    fn loss(&self) -> Loss {
        Loss::Softmax
    }
    /// Arrays with rows of users and items.
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        asked: Asked<'_>,
    ) -> Vec<Made<'a>>;
    /// Adds to the gradients of what was made, divided by the number of pairs, what beside their
    /// scores it costs; returns that cost, a sum.
    fn beside(
        &self,
        _pairs: &Batch,
        _made: &[Made<'_>],
        _gradients: &mut [Array],
        _machine: &Machine,
    ) -> f64 {
        0.0
    }
    /// Adds to the gradients of a step what does not go through the tape.
    fn add_gradients(
        &self,
        _pairs: &Batch,
        _parameters: &[Array],
        _gradients: &mut Gradients,
        _machine: &Machine,
    ) {
    }
    /// What is to be done when an epoch of pairs is over.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    fn after_epoch(&mut self, _state: &mut State, _with: &Between<'_>) -> Result<(), Error> {
        Ok(())
    }
    /// What was learned: rows of all users and items, sides one after the other.
    fn learned(
        &self,
        parameters: &[Array],
        (n_users, n_items): (usize, usize),
        machine: &Machine,
    ) -> Learned {
        let address = gossamer_machine::Address::new(0, gossamer_machine::Purpose::Layer, 0);
        let exact: &dyn Fn(usize) -> &'static dyn gossamer_tensor::codec::Codec = &|_| &Float32;
        let mut tape = Tape::new(machine, exact, address);
        tape.forget();
        let all: Vec<Parameter<'_>> =
            parameters.iter().map(|array| tape.parameter(array)).collect();
        let made = self.forward(&mut tape, &all, Asked::All);
        let sides = self.sides();
        let rows = |n: usize, of: fn(&Side) -> At| {
            let width = sides.iter().map(|side| made[of(side).0].rows.value().width).sum();
            let mut matrix = Matrix { values: Vec::with_capacity(n * width), width };
            for number in 0..n {
                for (array, place) in sides.iter().map(of) {
                    let row = match place {
                        Place::From(first) => first + number,
                        Place::One(row) => row,
                        Place::Next => number,
                    };
                    let made = &made[array];
                    matrix.values.extend_from_slice(made.rows.value().row(made.find(row)));
                }
            }
            matrix
        };
        Learned::Factors {
            users: rows(n_users, |side| side.user),
            items: rows(n_items, |side| side.item),
        }
    }
}

/// A table of nodes: users, then items.
#[derive(Debug)]
pub struct Table {
    /// Users.
    pub n_users: usize,
    /// Users and items.
    pub n: usize,
    /// Floats of a row.
    pub dim: usize,
}

impl Body for Table {
    fn shapes(&self) -> Vec<Shape> {
        vec![Shape::matrix(self.n, self.dim)]
    }
    fn tables(&self) -> [At; 2] {
        [(0, Place::From(0)), (0, Place::From(self.n_users))]
    }
    fn sides(&self) -> Vec<Side> {
        of_nodes(1, self.n_users)
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        vec![Made::of(tape, parameters[0], asked.nodes(self.n_users, self.n))]
    }
}

/// Sides of arrays that have all nodes, users first.
pub fn of_nodes(n_arrays: usize, n_users: usize) -> Vec<Side> {
    let side = |array| Side { user: (array, Place::From(0)), item: (array, Place::From(n_users)) };
    (0..n_arrays).map(side).collect()
}
