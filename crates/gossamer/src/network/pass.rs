//! A pass through one layer, or through a chain of reversible ones.

use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::op::reversible::Block;
use gossamer_tensor::tape::{Parameter, Tape, Var};

use crate::layer::around::Around;
use crate::layer::{Given, Layer, Made};

/// What every layer of a pass works with.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The layer.
    pub layer: &'static dyn Layer,
    /// What is around entities.
    pub around: &'a Around,
    /// Features, where entities have such.
    pub features: Option<BothWays<'a>>,
    /// Part of the floats between layers that is left out.
    pub dropout: f32,
    /// Part of the entries that is left out.
    pub edge_dropout: f32,
}

impl<'a> Pass<'a> {
    /// Through a layer, by its number: the rows it makes of rows, of relations' rows and of its own
    /// parameters.
    pub fn through(
        self,
        tape: &mut Tape<'a>,
        number: usize,
        rows: Option<Var<'a>>,
        (relations, own): (Option<Var<'a>>, &[Parameter<'a>]),
    ) -> Made<'a> {
        /// What is kept of each layer's rows; those beyond share the last name.
        const NAMES: [&str; 5] = ["input", "rows 1", "rows 2", "rows 3", "rows 4 and on"];
        let name = NAMES[number.min(NAMES.len() - 1)];
        let Self { layer, around, features, dropout, edge_dropout } = self;
        let rows = match number {
            0 => rows,
            _ => rows.map(|rows| tape.rectify(name, rows, dropout)),
        };
        let first = layer.begins_with_product().then(|| own[0]);
        let given = match (rows, first, features) {
            (Some(mut rows), Some(matrix), _) => tape.linear(name, &mut rows, matrix),
            (None, Some(matrix), Some(features)) => {
                tape.sum_neighbours(&matrix.var(), features, dropout)
            }
            (Some(rows), None, _) => rows,
            // A design without table and features has nothing but its first parameter.
            (None, ..) => own[0].var(),
        };
        layer.forward(tape, Given { name, rows: given, around, edge_dropout, relations }, own)
    }

    /// Through layers by number that leave no trace but the last one's rows.
    pub fn reversed<'l>(
        self,
        tape: &mut Tape<'a>,
        rows: Var<'a>,
        layers: impl Iterator<Item = (usize, &'l [Parameter<'a>])>,
        factor: f32,
    ) -> Var<'a>
    where
        'a: 'l,
    {
        let block = |(number, own): (usize, &'l [Parameter<'a>])| Block {
            parameters: own.to_vec(),
            run: Box::new(move |tape: &mut Tape<'a>, half, own: &[Parameter<'a>]| {
                self.through(tape, number, Some(half), (None, own)).rows
            }),
        };
        let blocks = layers.map(block).collect();
        tape.reversible("rows after all", rows, blocks, factor)
    }
}
