//! What a batch is held against: all entities, or drawn ones that stand for all.
//!
//! *Invariant:* what is drawn is a function of the run's seed and the step.

use std::ops::Range;

use gossamer_machine::{Address, Buffer, Machine, Purpose};

use super::sizes::Panels;
use crate::form::batch::Batch;
use crate::form::step::{Learner, Method};
use crate::table::{PANEL_ROWS, Panel, Table};

/// Most ranges of panels whose sums are made one after the other; their number fixes the order of
/// addition, whatever the threads.
pub const GROUPS: usize = 16;

/// A batch's answers and some drawn entities, gathered, so that they are scored as a table is.
///
/// An answer stands for itself. Any other entity is drawn with a chance p and then stands for 1/p
/// of them, so that sums of exponentials over what is here are, in the mean, those over all.
pub struct Drawn {
    /// Ascending.
    pub ids: Vec<u32>,
    /// ln 1/p of each.
    pub logarithms: Vec<f32>,
    /// The batch, with places in `ids` for answers.
    pub batch: Batch,
    /// Floats of a row.
    pub width: usize,
    /// Rows of a panel, the last one's aside.
    pub panel_rows: usize,
    rows: Buffer,
}

impl Drawn {
    /// Fewest rows of a panel.
    const LEAST_ROWS: usize = 64;
    /// Panels, about: enough for some threads.
    const PANELS: usize = 8;

    /// Draws for a batch, by the address of the step.
    pub fn new(learner: &Learner, batch: &Batch, method: &Method<'_>, machine: &Machine) -> Self {
        let table = &learner.model.entities;
        let (n, n_entities) = (method.n_negatives, table.n_rows());
        let answers = batch.entity_uses(false);
        let (ids, chance) = if n < n_entities {
            let address = Address::new(method.seed, Purpose::Negative, learner.steps);
            let mut ids = vec![0; n];
            method.sampler.draw(address, 0, n_entities as u32, &mut ids);
            ids.extend(answers.iter().map(|(id, _)| *id));
            ids.sort_unstable();
            ids.dedup();
            // That at least one of n draws meets an entity.
            (ids, -(n as f64 * (-1.0 / n_entities as f64).ln_1p()).exp_m1())
        } else {
            ((0..n_entities as u32).collect(), 1.0)
        };
        let mut logarithms = vec![-chance.ln() as f32; ids.len()];
        let mut place = 0;
        for (answer, _) in &answers {
            place += ids[place..].partition_point(|id| id < answer);
            logarithms[place] = 0.0;
        }
        let width = table.width();
        let mut rows = machine.buffers.room(ids.len() * width);
        let portion = ids.len().div_ceil(machine.workers.n_threads()).max(1);
        let tasks = ids.chunks(portion).zip(rows.chunks_mut(portion * width));
        machine.workers.each(tasks.collect(), |(ids, out)| table.gather(ids, out));
        let panel_rows = Self::panel_rows(ids.len());
        let batch = batch.placed(&ids);
        Self { ids, logarithms, batch, width, panel_rows, rows }
    }

    /// Rows of a panel of so many entities.
    fn panel_rows(n: usize) -> usize {
        n.div_ceil(Self::PANELS).next_multiple_of(16).clamp(Self::LEAST_ROWS, PANEL_ROWS)
    }

    /// The panels of at most so many entities.
    pub fn panels(n: u64) -> Panels {
        let most = n.div_ceil(PANEL_ROWS as u64).max(Self::PANELS as u64);
        Panels { n: most, rows: Self::panel_rows(n as usize) as u64 }
    }

    /// The panel at a place; its first row's id is a place.
    pub fn panel(&self, index: usize) -> Panel<'_> {
        let first = index * self.panel_rows;
        let n = self.panel_rows.min(self.ids.len() - first);
        Panel { first: first as u32, rows: &self.rows[first * self.width..][..n * self.width] }
    }
}

/// What is scored, panel by panel.
#[derive(Clone, Copy)]
pub enum Field<'a> {
    /// All entities.
    All(&'a Table),
    /// Those that stand for all.
    Drawn(&'a Drawn),
}

impl<'a> Field<'a> {
    /// The most rows of a panel.
    pub fn most_rows(self) -> usize {
        match self {
            Field::All(_) => PANEL_ROWS,
            Field::Drawn(drawn) => drawn.panel_rows,
        }
    }

    /// How many panels there are.
    pub fn n_panels(self) -> usize {
        match self {
            Field::All(table) => table.n_panels(),
            Field::Drawn(drawn) => drawn.ids.len().div_ceil(drawn.panel_rows),
        }
    }

    /// Ranges of panels whose sums are made one after the other.
    pub fn groups(self) -> impl Iterator<Item = Range<usize>> {
        let n_panels = self.n_panels();
        let n = GROUPS.min(n_panels);
        (0..n).map(move |group| n_panels * group / n..n_panels * (group + 1) / n)
    }

    /// Rows of the panel at a place.
    pub fn panel_rows(self, index: usize) -> usize {
        match self {
            Field::All(table) => table.panel_rows(index),
            Field::Drawn(drawn) => drawn.panel_rows.min(drawn.ids.len() - index * drawn.panel_rows),
        }
    }

    /// The panel at a place; `room` is where it is decoded.
    pub fn panel(self, index: usize, room: &'a mut Vec<f32>) -> Panel<'a> {
        match self {
            Field::All(table) => table.panel(index, room),
            Field::Drawn(drawn) => drawn.panel(index),
        }
    }
}
