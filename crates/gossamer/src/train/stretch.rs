//! Stretches of an epoch: what is learned from the triples and rows that are in memory together.
//!
//! With all rows in memory an epoch is one stretch over all triples. With partitions it goes
//! through the buckets of [`Order`], each cut into pieces that fit.
//!
//! *Invariant:* the stretches of an epoch are a function of the graph, the configuration and the
//! epoch's number, so a place in it is a number of steps.

use std::path::Path;
use std::sync::Arc;

use gossamer_graph::buckets::{Buckets, Cut};
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
use crate::paging::negatives::Residents;
use crate::paging::order::Order;
use crate::plan::piece_triples;
use crate::table::shelf::Partitions;

/// The folder of a run in which its triples stand by bucket.
const FOLDER: &str = ".buckets";

/// Triples by bucket, for a run with partitions.
pub struct Paged {
    partitions: Arc<Partitions>,
    order: Order,
    buckets: Buckets,
    /// The training triples as the graph has them, for filters.
    pub stored: Option<StoredTriples>,
}

impl Paged {
    /// Sorts the training triples into buckets, in the run's folder.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn new(
        graph: &Snapshot,
        config: &Config,
        run: &Path,
        observer: &dyn Observer,
    ) -> Result<Self, FileError> {
        let (partitions, order) = Pages::cut(config, graph.entities().len());
        let address = Address::new(config.seed, Purpose::Partition, 2);
        let bucket = |number: u64, head, tail| {
            let sets = order.with(partitions.of_row(head), partitions.of_row(tail));
            let (low, high) = (number as u32, (number >> 32) as u32);
            sets[address.below(sets.len() as u64, low, high) as usize] as usize
        };
        let cut = Cut {
            n_buckets: order.len(),
            bucket: &bucket,
            most: piece_triples(graph.n_triples(Split::Train)?, order.len() as u64),
            address: Address::new(config.seed, Purpose::Partition, 1),
        };
        let buckets = Buckets::write(graph, Split::Train, &run.join(FOLDER), &cut, observer)?;
        let stored = graph.stored(Split::Train)?;
        Ok(Self { partitions: Arc::new(partitions), order, buckets, stored })
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
    /// The stretches of an epoch.
    pub(super) fn stretches(&self, epoch: u64) -> Vec<Stretch> {
        let batch = self.config.batch as u64;
        let Some(Paged { order, buckets, .. }) = &self.paged else {
            let n_items = self.form.n_items(self.examples());
            let (steps_before, items_before, place) = (0, 0, None);
            return vec![Stretch { number: epoch, steps_before, items_before, n_items, place }];
        };
        let pieces = buckets.pieces();
        let mut places = Vec::new();
        for set in (0..order.len()).map(|place| order.at(epoch, place)) {
            let of_set = (0..pieces.len()).filter(|piece| pieces[*piece].bucket == set);
            places.extend(of_set.map(|piece| (set, piece)));
        }
        let (mut steps_before, mut items_before) = (0, 0);
        let stretch = |(place, (set, piece)): (usize, &(usize, usize))| {
            let next = places[place..].iter().map(|(set, _)| *set).find(|next| next != set);
            let n_items = 2 * pieces[*piece].n;
            let stretch = Stretch {
                number: epoch * places.len() as u64 + place as u64,
                steps_before,
                items_before,
                n_items,
                place: Some((*set, next, *piece)),
            };
            (steps_before, items_before) =
                (steps_before + n_items.div_ceil(batch), items_before + n_items);
            stretch
        };
        places.iter().enumerate().map(stretch).collect()
    }

    /// Brings what a stretch learns from into memory.
    ///
    /// # Errors
    /// [`FileError`].
    pub(super) fn enter(
        &self,
        learner: &mut Learner,
        stretch: &Stretch,
    ) -> Result<Option<Held>, Error> {
        let (Some(paged), Some((set, next, piece))) = (&self.paged, stretch.place) else {
            return Ok(None);
        };
        let Learner { model, entity_state, pages: Some(pages), .. } = learner else {
            return Ok(None);
        };
        pages.turn_to([&mut model.entities, entity_state], set, next)?;
        let residents = Residents::new(&paged.partitions, &paged.order, set);
        Ok(Some(Held { triples: paged.buckets.read(piece)?, residents }))
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
