//! Networks: layers one after the other, from the rows they are given to the rows of a task.
//!
//! Between layers rows are rectified, and dropout takes a part. With residual branches a layer's rows
//! are added, divided by the root of the number of layers, to those it was given.
//!
//! *Invariant:* a forward pass is a function of parameters, graph and address; threads change no bit.
//! *Not here:* layers ([`layer`](crate::layer)), what is kept between the ways (the tape), tasks
//! ([`classes`](crate::classes), [`encoder`](crate::form::encoder)).

use gossamer_machine::{Address, Ledger, Machine, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::optim::{Optimiser, Step};
use gossamer_tensor::sparse::Sparse;
use gossamer_tensor::tape::kept::ROWS;
use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::{Gradients, Parameter, Tape, Var};

pub mod activations;

use crate::layer::around::Around;
use crate::layer::{Given, Layer, Made, Shape};
use activations::Activations;

/// Residual branches begin this small, so that a network begins as what it is given.
const BRANCH: f32 = 0.1;

/// What a network is made of.
#[derive(Clone, Copy)]
pub struct Design {
    /// Its layers.
    pub layer: &'static dyn Layer,
    /// How many.
    pub n_layers: usize,
    /// The table of rows that begins it (rows × width); none where the first layer takes features.
    pub table: Option<[usize; 2]>,
    /// The table of relations' rows (rows × width), if it has one.
    pub relations: Option<[usize; 2]>,
    /// Labels that entries have: 2·R + 1.
    pub n_labels: usize,
    /// Floats of a row that the first layer is given, between layers, and of the last.
    pub widths: [usize; 3],
    /// Part of the floats between layers that is left out in a step.
    pub dropout: f32,
    /// Part of the entries that is left out in a step.
    pub edge_dropout: f32,
    /// True if a layer's rows are added to those it was given.
    pub residual: bool,
}

impl Design {
    /// The shapes of all parameters: tables, then layer after layer.
    pub fn shapes(&self) -> Vec<Shape> {
        let tables = self.table.into_iter().chain(self.relations);
        let mut shapes: Vec<Shape> =
            tables.map(|[rows, width]| Shape::matrix(rows, width)).collect();
        let layers = self.layers();
        shapes.extend(layers.flat_map(|[from, to]| self.layer.parameters(from, to, self.n_labels)));
        shapes
    }

    /// Floats of the rows that each layer is given, and of those it makes.
    fn layers(&self) -> impl Iterator<Item = [usize; 2]> {
        let [first, width, last] = self.widths;
        (1..=self.n_layers).map(move |number| {
            let from = if number == 1 { first } else { width };
            [from, if number == self.n_layers { last } else { width }]
        })
    }

    /// How many parameters are tables.
    fn n_tables(&self) -> usize {
        [self.table, self.relations].iter().flatten().count()
    }

    /// Which parameters begin small: those of layers whose rows are added to what they were given,
    /// but for what is no matter of chance, such as a transform.
    fn in_branches(&self) -> Vec<bool> {
        let mut found = vec![false; self.n_tables()];
        for [from, to] in self.layers() {
            let shapes = self.layer.parameters(from, to, self.n_labels);
            let branch = self.residual && from == to;
            found.extend(shapes.iter().map(|shape| branch && shape.fixed().is_none()));
        }
        found
    }

    /// What a pass keeps for so many entities: that of one block of them without neighbours, as
    /// many times as it takes. Features, if it is given such, keep nothing: one stands for all.
    pub fn kept(
        &self,
        activations: &Activations,
        (n_entities, has_features): (usize, bool),
        machine: &Machine,
    ) -> Ledger {
        let one = [Sparse::new(ROWS, 1, Vec::new()), Sparse::new(1, ROWS, Vec::new())];
        let [forward, backward] = &one;
        let features = has_features.then_some(BothWays { forward, backward });
        let table = self.table.map(|[_, width]| [if has_features { 1 } else { ROWS }, width]);
        let mut widths = self.widths;
        if has_features && table.is_none() {
            widths[0] = 1;
        }
        let small = Network::new(Self { table, widths, ..*self }, machine, 0);
        let around = Around::of(self.layer.view(), ROWS, self.n_labels / 2, &[]);
        let codecs = |place: usize| activations.codec(place);
        let mut tape = Tape::new(machine, &codecs, Address::new(0, Purpose::Dropout, 0));
        let made = small.forward(&mut tape, &around, features, true);
        drop(made);
        tape.kept_of(&[(ROWS, n_entities)])
    }
}

/// Parameters, and the optimiser's state for them.
pub struct Network {
    /// What it is made of.
    pub design: Design,
    /// Tables, then each layer's.
    pub parameters: Vec<Array>,
    /// State of each.
    pub states: Vec<Array>,
}

/// What a forward pass makes: rows, and where parameters stand among gradients.
pub type Passed<'a> = (Made<'a>, Vec<Parameter<'a>>);

impl Network {
    /// First values; an optimiser's state is made by [`with_states`](Self::with_states).
    pub fn new(design: Design, machine: &Machine, seed: u64) -> Self {
        let parameter = |(number, shape): (u64, Shape)| {
            first_values(shape, Address::new(seed, Purpose::Initial, number), machine)
        };
        let mut parameters: Vec<Array> = (0..).zip(design.shapes()).map(parameter).collect();
        for (array, branch) in parameters.iter_mut().zip(design.in_branches()) {
            if branch {
                array.values.iter_mut().for_each(|x| *x *= BRANCH);
            }
        }
        Self { design, parameters, states: Vec::new() }
    }

    /// With fresh state of an optimiser.
    pub fn with_states(mut self, optimiser: &dyn Optimiser, machine: &Machine) -> Self {
        let state =
            |of: &Array| Array::zeroed(&machine.buffers, of.rows, optimiser.state_width(of.width));
        self.states = self.parameters.iter().map(state).collect();
        self
    }

    /// The rows of every entity, and of relations where the network has them. Where it has no table
    /// the first layer is given features; where it has one, features are products with it.
    pub fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        around: &'a Around,
        features: Option<BothWays<'a>>,
        training: bool,
    ) -> Passed<'a> {
        /// What is kept of each layer's rows; those beyond share the last name.
        const NAMES: [&str; 5] = ["input", "rows 1", "rows 2", "rows 3", "rows 4 and on"];
        let name = |number: usize| NAMES[number.min(NAMES.len() - 1)];
        let Design { layer, n_layers, residual, .. } = self.design;
        let part = |dropout: f32| if training { dropout } else { 0.0 };
        let (dropout, edge_dropout) = (part(self.design.dropout), part(self.design.edge_dropout));
        let parameters: Vec<Parameter<'a>> =
            self.parameters.iter().map(|array| tape.parameter(array)).collect();
        let mut own = parameters.iter().copied();
        let table = self.design.table.and_then(|_| own.next());
        let mut relations = self.design.relations.and_then(|_| own.next()).map(Parameter::var);
        let mut rows = match (table, features) {
            (Some(table), Some(features)) => {
                Some(tape.sum_neighbours(&table.var(), features, dropout))
            }
            (Some(table), None) => Some(table.var()),
            (None, _) => None,
        };
        let each = (own.len() / n_layers).max(1);
        let layers: Vec<Parameter<'a>> = own.collect();
        for (number, own) in layers.chunks(each).enumerate() {
            let before = rows.as_ref().filter(|_| residual).map(|rows| rows.copy(tape.machine()));
            if number > 0 {
                rows = rows.map(|rows| tape.rectify(name(number), rows, dropout));
            }
            let first = layer.begins_with_product().then(|| own[0]);
            let given = match (rows, first, features) {
                (Some(mut rows), Some(matrix), _) => tape.linear(name(number), &mut rows, matrix),
                (None, Some(matrix), Some(features)) => {
                    tape.sum_neighbours(&matrix.var(), features, dropout)
                }
                (Some(rows), None, _) => rows,
                // A design without table and features has nothing but its first parameter.
                (None, ..) => own[0].var(),
            };
            let name = name(number);
            let given = Given { name, rows: given, around, edge_dropout, relations };
            let made = layer.forward(tape, given, own);
            rows = Some(self.with_branch(tape, before, made.rows));
            relations = made.relations;
        }
        let rows = rows.unwrap_or_else(|| parameters[0].var());
        (Made { rows, relations }, parameters)
    }

    /// Adds a layer's rows to those before, where there are residual branches and widths agree.
    fn with_branch<'a>(
        &self,
        tape: &mut Tape<'a>,
        before: Option<Var<'a>>,
        made: Var<'a>,
    ) -> Var<'a> {
        match before.filter(|before| before.value().width == made.value().width) {
            Some(before) => tape.add(before, made, 1.0 / (self.design.n_layers as f32).sqrt()),
            None => made,
        }
    }

    /// Changes every parameter that has a gradient, tables and layers by steps of their own.
    pub fn change(
        &mut self,
        ids: &[usize],
        gradients: &mut Gradients,
        optimiser: &dyn Optimiser,
        (of_tables, of_layers): (&Step, &Step),
        machine: &Machine,
    ) {
        let n_tables = self.design.n_tables();
        for (place, id) in ids.iter().enumerate() {
            let step = if place < n_tables { of_tables } else { of_layers };
            let Some(gradient) = gradients.take(*id) else { continue };
            let (parameter, state) = (&mut self.parameters[place], &mut self.states[place]);
            update(parameter, state, &gradient, (optimiser, step), machine);
        }
    }
}

/// A parameter's first values.
pub fn first_values(shape: Shape, address: Address, machine: &Machine) -> Array {
    let mut array = Array::zeroed(&machine.buffers, shape.rows, shape.width);
    if let Some(values) = shape.fixed() {
        array.values.copy_from_slice(&values);
        return array;
    }
    let bound = (6.0 / (shape.rows + shape.width) as f32).sqrt();
    for (row, values) in array.values.chunks_exact_mut(shape.width).enumerate() {
        for (column, four) in values.chunks_mut(4).enumerate() {
            let random = address.symmetric(row as u32, column as u32);
            four.iter_mut().zip(random).for_each(|(x, random)| *x = bound * random);
        }
    }
    array
}

/// Changes a parameter row by row, by all threads.
pub fn update(
    parameter: &mut Array,
    state: &mut Array,
    gradient: &Array,
    (optimiser, step): (&dyn Optimiser, &Step),
    machine: &Machine,
) {
    /// Rows of a task.
    const ROWS: usize = 512;
    let (width, state_width) = (parameter.width, state.width);
    let tasks = parameter.values.chunks_mut(ROWS * width);
    let tasks = tasks.zip(gradient.values.chunks(ROWS * width));
    // An optimiser without state has empty rows of it.
    let mut states = state.values.chunks_mut((ROWS * state_width).max(1));
    let tasks = tasks.map(|task| (task, states.next().unwrap_or_default())).collect();
    machine.workers.each(tasks, |((rows, gradients), states)| {
        let mut states = states.chunks_exact_mut(state_width.max(1));
        for (row, gradient) in rows.chunks_exact_mut(width).zip(gradients.chunks_exact(width)) {
            optimiser.update(step, row, states.next().unwrap_or_default(), gradient);
        }
    });
}
