//! What a configuration's network is made of, and the bytes it will take.

use gossamer_machine::Ledger;
use gossamer_tensor::optim::Optimiser;

use crate::config::{Config, NO_LAYER};
use crate::error::Error;
use crate::layer;
use crate::layer::around::Around;
use crate::network::Design;
use crate::network::activations::Activations;
use crate::network::rehearsal::Rehearsal;

/// What a configuration's network is made of; none where rows are their own.
///
/// # Errors
/// [`Error::Unknown`]; [`Error::Setting`] where layers and score function do not suit.
pub fn design(
    config: &Config,
    n_entities: usize,
    n_relations: usize,
) -> Result<Option<Design>, Error> {
    if config.layer == NO_LAYER {
        return Ok(None);
    }
    let layer = layer::find(&config.layer)?;
    let function = config.score_function()?;
    let widths = function.widths(config.dim);
    let unsuited = |what: &str, hint: &str| Error::Setting {
        key: "layer".into(),
        what: format!("{} {what}", config.model),
        hint: hint.into(),
    };
    if function.unit_entities() || function.condition_width(config.dim) != widths.relation {
        let what = "asks more of its rows than layers give";
        return Err(unsuited(what, "use one such as complex, distmult or transe"));
    }
    if layer.composes() && widths.relation != widths.entity {
        let what = format!("has rows of {} and {} floats", widths.entity, widths.relation);
        let what = format!("{what}, and {} composes rows of one width", config.layer);
        return Err(unsuited(&what, "use one such as complex, distmult or transe"));
    }
    if layer.composes() && widths.entity % 2 == 1 {
        return Err(unsuited("has rows of an odd width", "choose an even --dim"));
    }
    if config.edge_dropout > 0.0 && !layer.drops_edges() {
        return Err(Error::Setting {
            key: "edge_dropout".into(),
            what: format!("{} sees all edges in every step", config.layer),
            hint: "leave it out, or use a layer such as gcn, rgcn or compgcn".into(),
        });
    }
    if config.layer_every > 1 && (!config.residual || config.reversible) {
        return Err(Error::Setting {
            key: "layer_every".into(),
            what: "rows without what they were made of cannot move by themselves".into(),
            hint: "use --residual true without --reversible, or --layer-every 1".into(),
        });
    }
    let n_labels = 2 * n_relations + 1;
    let decoded = if config.reciprocal { 2 * n_relations } else { n_relations };
    let rows = if layer.composes() { n_labels } else { decoded };
    let design = Design {
        layer,
        n_layers: config.layers,
        table: Some([n_entities, widths.entity]),
        relations: Some([rows, widths.relation]),
        n_labels,
        widths: [widths.entity; 3],
        dropout: config.layer_dropout,
        edge_dropout: config.edge_dropout,
        residual: config.residual,
        reversible: config.reversible,
    };
    design.check()?;
    Ok(Some(design))
}

/// Adds the bytes of a configuration's network to a plan; returns what is kept between the ways.
///
/// # Errors
/// Those of [`design`].
pub fn plan(
    config: &Config,
    [n_entities, n_relations, n_triples]: [u64; 3],
    optimiser: &dyn Optimiser,
    ledger: &mut Ledger,
) -> Result<Option<Ledger>, Error> {
    let Some(design) = design(config, n_entities as usize, n_relations as usize)? else {
        return Ok(None);
    };
    let activations = Activations::parse(&config.activations)?;
    let bytes = Around::bytes_for(design.layer.view(), n_entities, n_triples);
    ledger.add("neighbours", format!("2 × {n_triples} triples"), "f32", bytes + 24 * n_triples);
    let state = |width: usize| (width + optimiser.state_width(width)) as u64;
    let bytes = |rows: usize, width: usize| 4 * rows as u64 * state(width);
    let floats = design.shapes().iter().map(|shape| bytes(shape.rows, shape.width)).sum();
    ledger.add("network", "parameters, state".to_string(), "f32", floats);
    let width = design.widths[0] as u64;
    if config.layer_every > 1 {
        let rows = n_entities + design.relations.map_or(0, |[rows, _]| rows as u64);
        ledger.add("rows of a span", "made, and gathered".into(), "f32", 8 * rows * width);
    }
    let Rehearsal { kept, rows } = design.rehearse(&activations, (n_entities as usize, false));
    ledger.add("rows of layers", "and their gradients".into(), "f32", rows);
    // What the form collects, before it is the gradient of rows.
    ledger.add(
        "gradient of rows",
        format!("{n_entities} × {width}"),
        "f32",
        4 * n_entities * width,
    );
    let bytes = kept.total();
    ledger.add("kept between the ways", String::new(), config.activations.clone(), bytes);
    Ok(Some(kept))
}
