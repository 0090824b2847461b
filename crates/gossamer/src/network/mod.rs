//! Networks: layers one after the other, from the rows they are given to the rows of a task.
//!
//! Between layers rows are rectified, and dropout takes a part. With residual branches a layer's rows
//! are added, divided by the root of the number of layers, to those it was given. Reversible, a layer
//! works on half of each row and is added to the other half, so that nothing of it is kept.
//!
//! *Invariant:* a forward pass is a function of parameters, graph and address; threads change no bit.
//! *Not here:* layers ([`layer`](crate::layer)), what is kept between the ways (the tape), tasks
//! ([`classes`](crate::classes), [`encoder`](crate::form::encoder)).

use std::ops::Range;

use gossamer_machine::{Address, Buffers, Ledger, Machine, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::codec::Codec;
use gossamer_tensor::codec::float32::Float32;
use gossamer_tensor::kernel::verify::bit_sum;
use gossamer_tensor::optim::{Optimiser, Step};
use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::{Gradients, Parameter, Tape, Var};

pub mod activations;
pub mod pass;
pub mod rehearsal;

use crate::error::Error;
use crate::layer::around::Around;
use crate::layer::{Layer, Made, Shape};
use activations::Activations;
use pass::Pass;

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
    /// True if layers whose rows are as wide as those they are given are
    /// [reversible](gossamer_tensor::tape::op::reversible).
    pub reversible: bool,
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
        let chain = self.chain();
        (0..self.n_layers).map(move |number| {
            let from = if number == 0 { first } else { width };
            let to = if number + 1 == self.n_layers { last } else { width };
            if chain.contains(&number) { [from / 2, to / 2] } else { [from, to] }
        })
    }

    /// Which layers are reversible: all but one that makes rows of features, and one whose rows are
    /// of another width.
    fn chain(&self) -> Range<usize> {
        let [first, width, last] = self.widths;
        let begin = usize::from(first != width || self.table.is_none());
        let end = if last == width { self.n_layers } else { self.n_layers - 1 };
        if self.reversible { begin..end.max(begin) } else { 0..0 }
    }

    /// Checks that layers and widths suit.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self) -> Result<(), Error> {
        let (name, width) = (self.layer.name(), self.widths[1]);
        let wrong = |what: String, hint: &str| {
            Err(Error::Setting { key: "reversible".into(), what, hint: hint.into() })
        };
        match self.reversible {
            true if self.layer.composes() => {
                let what = format!("{name} makes rows of relations anew, which nothing undoes");
                wrong(what, "leave it out, or use a layer such as gcn, rgcn or rgat")
            }
            true if width % 2 == 1 => {
                wrong(format!("rows of {width} floats have no halves"), "choose an even --dim")
            }
            _ => Ok(()),
        }
    }

    /// How many parameters are tables.
    fn n_tables(&self) -> usize {
        [self.table, self.relations].iter().flatten().count()
    }

    /// Which parameters begin small: those of layers whose rows are added to what they were given,
    /// but for what is no matter of chance, such as a transform.
    fn in_branches(&self) -> Vec<bool> {
        let mut found = vec![false; self.n_tables()];
        for (number, [from, to]) in self.layers().enumerate() {
            let shapes = self.layer.parameters(from, to, self.n_labels);
            let branch = self.chain().contains(&number) || self.residual && from == to;
            found.extend(shapes.iter().map(|shape| branch && shape.fixed().is_none()));
        }
        found
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
    /// The sum of each one's bits after its last change, where someone verifies.
    sums: Vec<Option<u64>>,
}

/// What a pass forward and back leaves.
pub struct Passed {
    /// Where each parameter stands among the gradients.
    pub ids: Vec<usize>,
    /// Gradients of parameters, and what kept things need.
    pub gradients: Gradients,
    /// What was kept between the ways.
    pub kept: Ledger,
}

impl Network {
    /// First values; an optimiser's state is made by [`with_states`](Self::with_states).
    pub fn new(design: Design, machine: &Machine, seed: u64) -> Self {
        let parameter = |(number, shape): (u64, Shape)| {
            first_values(shape, Address::new(seed, Purpose::Initial, number), &machine.buffers)
        };
        let mut parameters: Vec<Array> = (0..).zip(design.shapes()).map(parameter).collect();
        for (array, branch) in parameters.iter_mut().zip(design.in_branches()) {
            if branch {
                array.values.iter_mut().for_each(|x| *x *= BRANCH);
            }
        }
        Self { design, sums: vec![None; parameters.len()], parameters, states: Vec::new() }
    }

    /// With fresh state of an optimiser.
    pub fn with_states(mut self, optimiser: &dyn Optimiser, machine: &Machine) -> Self {
        let state =
            |of: &Array| Array::zeroed(&machine.buffers, of.rows, optimiser.state_width(of.width));
        self.states = self.parameters.iter().map(state).collect();
        self
    }

    /// The rows of every entity, and of relations where the network has them, and all parameters.
    /// Where it has no table the first layer is given features; where it has one, features are
    /// products with it.
    pub fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        around: &'a Around,
        features: Option<BothWays<'a>>,
        training: bool,
    ) -> (Made<'a>, Vec<Parameter<'a>>) {
        let part = |dropout: f32| if training { dropout } else { 0.0 };
        let Design { layer, n_layers, residual, dropout, edge_dropout, .. } = self.design;
        let (dropout, edge_dropout) = (part(dropout), part(edge_dropout));
        let pass = Pass { layer, around, features, dropout, edge_dropout };
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
        let layers: Vec<&[Parameter<'a>]> = layers.chunks(each).collect();
        let chain = self.design.chain();
        for (number, own) in layers.iter().enumerate() {
            if chain.contains(&number) {
                let chained = layers[number..chain.end].iter().copied();
                let turn = |rows| pass.reversed(tape, rows, (number..).zip(chained), self.factor());
                rows = if number == chain.start { rows.map(turn) } else { rows };
                continue;
            }
            let machine = tape.machine();
            let copy =
                |of: &Option<Var<'a>>| of.as_ref().filter(|_| residual)?.copy(machine).into();
            let (before, before_relations) = (copy(&rows), copy(&relations));
            let made = pass.through(tape, number, rows, (relations, own));
            rows = Some(self.with_branch(tape, before, made.rows));
            relations = match made.relations {
                Some(made) if layer.composes() => {
                    Some(self.with_branch(tape, before_relations, made))
                }
                relations => relations,
            };
        }
        let rows = rows.unwrap_or_else(|| parameters[0].var());
        (Made { rows, relations }, parameters)
    }

    /// Forward, the gradients that `ends` finds of the rows of entities and of relations, and back;
    /// none if something was no finite number. Random numbers are those of the step's address.
    pub fn pass(
        &self,
        (around, features): (&Around, Option<BothWays<'_>>),
        activations: &Activations,
        (address, number): (Address, u64),
        machine: &Machine,
        ends: impl FnOnce(&Array, Option<&Array>) -> [Array; 2],
    ) -> Option<Passed> {
        let codecs = |place: usize| activations.codec(place);
        let mut tape = Tape::new(machine, &codecs, address);
        if activations.is_due(number) {
            tape.weigh();
        }
        let (Made { rows, relations }, parameters) =
            self.forward(&mut tape, around, features, true);
        let kept = tape.kept();
        let ids: Vec<usize> = parameters.iter().map(|parameter| parameter.id()).collect();
        let [of_rows, of_relations] = ends(rows.value(), relations.as_ref().map(Var::value));
        let gradients = match relations {
            Some(relations) if of_relations.rows > 0 => {
                tape.backward([(rows, of_rows), (relations, of_relations)])
            }
            _ => tape.backward([(rows, of_rows)]),
        };
        Some(Passed { ids, gradients: gradients?, kept })
    }

    /// Rows from which nothing goes back; with the dropout of a step's address, or without.
    pub fn rows<'a>(
        &'a self,
        (around, features): (&'a Around, Option<BothWays<'a>>),
        address: Option<Address>,
        machine: &'a Machine,
    ) -> Made<'a> {
        const EXACT: &dyn Fn(usize) -> &'static dyn Codec = &|_| &Float32;
        let of = address.unwrap_or(Address::new(0, Purpose::Layer, 0));
        let mut tape = Tape::new(machine, EXACT, of);
        tape.forget();
        self.forward(&mut tape, around, features, address.is_some()).0
    }

    /// What a layer's rows are multiplied by before they are added to others.
    fn factor(&self) -> f32 {
        1.0 / (self.design.n_layers as f32).sqrt()
    }

    /// Adds a layer's rows to those before, where there are residual branches and widths agree.
    fn with_branch<'a>(
        &self,
        tape: &mut Tape<'a>,
        before: Option<Var<'a>>,
        made: Var<'a>,
    ) -> Var<'a> {
        match before.filter(|before| before.value().width == made.value().width) {
            Some(before) => tape.add(before, &made, self.factor()),
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
            let known = self.sums[place].filter(|_| machine.faults.looks());
            if known.is_some_and(|sum| sum != bit_sum(&parameter.values)) {
                let size = format!("{} × {}", parameter.rows, parameter.width);
                let words = "is no longer what it was changed to";
                machine.faults.note(format!("parameter {place} ({size}) {words}"));
            }
            update(parameter, state, &gradient, (optimiser, step), machine);
            self.sums[place] = machine.faults.looks().then(|| bit_sum(&parameter.values));
        }
    }
}

/// A parameter's first values.
pub fn first_values(shape: Shape, address: Address, buffers: &Buffers) -> Array {
    let mut array = Array::zeroed(buffers, shape.rows, shape.width);
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
