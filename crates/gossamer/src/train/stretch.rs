//! Stretches of an epoch: what is learned from the triples and rows that are in memory together.
//!
//! With all rows in memory an epoch is one stretch over all triples. With partitions they are dealt
//! and the triples sorted into buckets for each epoch anew ([`Course`]); the epoch goes through the
//! buckets in their [`Order`], each cut into pieces that fit.
//!
//! *Invariant:* the stretches of an epoch are a function of the graph, the configuration and the
//! epoch's number, so a place in it is a number of steps.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gossamer_graph::buckets::{Buckets, Cut, Piece};
use gossamer_graph::stored::StoredTriples;
use gossamer_graph::{Snapshot, Split, Triples};
use gossamer_machine::random::{Address, Purpose};
use gossamer_machine::{FileError, Observer};

use super::session::Session;
use crate::config::Config;
use crate::error::Error;
use crate::form::batch::Examples;
use crate::form::step::Learner;
use crate::paging::Pages;
use crate::paging::deal::Deal;
use crate::paging::negatives::Residents;
use crate::paging::order::Order;
use crate::plan::piece_triples;
use crate::table::shelf::Parts;

/// The folder of a run in which an epoch's triples stand by bucket.
const FOLDER: &str = ".buckets";

/// The graph of a run with partitions, of which an epoch takes its triples.
pub struct Paged<'a> {
    graph: &'a Snapshot,
    parts: Arc<Parts>,
    order: Order,
    folder: PathBuf,
    /// The training triples as the graph has them, for filters.
    pub stored: Option<StoredTriples>,
}

/// The partitions of an epoch, and its triples by bucket.
pub struct Course {
    deal: Arc<Deal>,
    buckets: Buckets,
}

impl<'a> Paged<'a> {
    /// Of a graph, for a run in a folder.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn new(graph: &'a Snapshot, config: &Config, run: &Path) -> Result<Self, FileError> {
        Ok(Self {
            graph,
            parts: Arc::new(Pages::cut(config, graph.entities().len())),
            order: Order::new(config.partitions, config.in_memory),
            folder: run.join(FOLDER),
            stored: graph.stored(Split::Train)?,
        })
    }

    /// Deals an epoch's partitions and sorts its triples into buckets.
    fn course(
        &self,
        config: &Config,
        epoch: u64,
        observer: &dyn Observer,
    ) -> Result<Course, FileError> {
        /// Random numbers of an epoch.
        const NUMBERS: u64 = 2;
        let deal = Deal::new((self.parts.len(), config.partitions), config.seed, epoch);
        let address =
            |number| Address::new(config.seed, Purpose::Partition, 1 + NUMBERS * epoch + number);
        let (of_set, of_piece) = (address(0), address(1));
        let partition = |id| deal.partition(self.parts.of_row(id));
        let bucket = |number: u64, head, tail| {
            let sets = self.order.with(partition(head), partition(tail));
            let (low, high) = (number as u32, (number >> 32) as u32);
            sets[of_set.below(sets.len() as u64, low, high) as usize] as usize
        };
        let cut = Cut {
            n_buckets: self.order.len(),
            bucket: &bucket,
            most: piece_triples(self.graph.n_triples(Split::Train)?, self.order.len() as u64),
            address: of_piece,
        };
        let buckets = Buckets::write(self.graph, Split::Train, &self.folder, &cut, observer)?;
        Ok(Course { deal: Arc::new(deal), buckets })
    }
}

/// A stretch of an epoch.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// Its number in the run.
    pub number: u64,
    /// Steps of the epoch before it.
    pub steps_before: u64,
    /// Items of the epoch before it.
    pub items_before: u64,
    /// Its items.
    pub n_items: u64,
    /// The set of partitions, the one that follows, and the piece of its bucket.
    place: Option<(usize, Option<usize>, usize)>,
}

/// What a stretch learns from, where that is not all.
pub struct Held {
    triples: Triples,
    residents: Residents,
}

impl Session<'_> {
    /// What an epoch goes through, where rows are cut into partitions.
    ///
    /// # Errors
    /// [`FileError`].
    pub(super) fn course(&self, epoch: u64) -> Result<Option<Course>, FileError> {
        let course = |paged: &Paged<'_>| paged.course(self.config, epoch, self.observer);
        self.paged.as_ref().map(course).transpose()
    }

    /// The stretches of an epoch.
    pub(super) fn stretches(&self, epoch: u64, course: Option<&Course>) -> Vec<Stretch> {
        let batch = self.config.batch as u64;
        let Some(Course { buckets, .. }) = course else {
            let n_items = self.form.n_items(self.examples());
            let (steps_before, items_before, place) = (0, 0, None);
            return vec![Stretch { number: epoch, steps_before, items_before, n_items, place }];
        };
        let pieces = buckets.pieces();
        let (mut steps_before, mut items_before) = (0, 0);
        let stretch = |(number, piece): (usize, &Piece)| {
            let mut sets = pieces[number..].iter().map(|piece| piece.bucket);
            let next = sets.find(|next| *next != piece.bucket);
            let n_items = 2 * piece.n;
            let stretch = Stretch {
                number: (epoch << 32) + number as u64,
                steps_before,
                items_before,
                n_items,
                place: Some((piece.bucket, next, number)),
            };
            (steps_before, items_before) =
                (steps_before + n_items.div_ceil(batch), items_before + n_items);
            stretch
        };
        pieces.iter().enumerate().map(stretch).collect()
    }

    /// Brings what a stretch learns from into memory.
    ///
    /// # Errors
    /// [`FileError`].
    pub(super) fn enter(
        &self,
        learner: &mut Learner,
        course: Option<&Course>,
        stretch: &Stretch,
    ) -> Result<Option<Held>, Error> {
        let (Some(Paged { parts, order, .. }), Some(Course { deal, buckets })) =
            (&self.paged, course)
        else {
            return Ok(None);
        };
        let Learner { model, entity_state, pages: Some(pages), .. } = learner else {
            return Ok(None);
        };
        let Some((set, next, piece)) = stretch.place else { return Ok(None) };
        let parts_of = |set: usize| deal.parts_of(order.set(set));
        let next = next.map(parts_of).unwrap_or_default();
        let tables = [&mut model.entities, entity_state];
        pages.turn_to(tables, [&parts_of(set), &next], &self.machine.workers)?;
        let residents = Residents::new(parts, deal, order, set);
        Ok(Some(Held { triples: buckets.read(piece)?, residents }))
    }

    /// What a stretch's steps see.
    pub(super) fn within<'a>(&'a self, held: Option<&'a Held>) -> Examples<'a> {
        match held {
            Some(Held { triples, residents }) => {
                Examples { triples, residents: Some(residents), ..self.examples() }
            }
            None => self.examples(),
        }
    }
}
