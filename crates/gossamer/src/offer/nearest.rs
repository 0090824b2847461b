//! Settings near those that a budget is too small for.

use gossamer_machine::Machine;

use crate::config::{self, Config};
use crate::error::Error;
use crate::plan::{GraphShape, train_plan};

/// Ways for rows to take less, each less than the one before.
const ROWS: [&[(&str, &str)]; 3] =
    [&[("rows", "bf16")], &[("rows", "int8")], &[("rows", "int8"), ("partitions", "8")]];

/// Changes to settings with which training fits the budget: the largest dim below, and the most of
/// a row's bits at this dim; where no bits are few enough, with the largest dim. None where nothing
/// like it fits.
///
/// # Errors
/// Those of the settings themselves.
pub fn nearest(
    settings: &[(String, String)],
    shape: &GraphShape,
    machine: &Machine,
) -> Result<Vec<Vec<(String, String)>>, Error> {
    let sizes = Some((shape.n_entities, shape.n_triples[0]));
    let asked = Config::from_settings(settings, sizes)?;
    let fits = |changes: &[(String, String)]| {
        let form = ("form".to_string(), asked.form.clone());
        let changed = settings.iter().chain([&form]).chain(changes).cloned();
        let config = Config::from_settings(&changed.collect::<Vec<_>>(), sizes);
        config.is_ok_and(|config| train_plan(&config, shape, machine).is_ok())
    };
    let own = |(key, value): &(&str, &str)| ((*key).to_string(), (*value).to_string());
    let with_dim = |rows: &[(String, String)]| {
        // Some score functions need an even dim.
        let step = [4, 2].into_iter().find(|step| asked.dim.is_multiple_of(*step)).unwrap_or(1);
        let with = |n: usize| [rows, &[("dim".to_string(), (n * step).to_string())]].concat();
        // The first is known to fit, the second not to.
        let (mut least, mut most) = (0, asked.dim / step);
        while most - least > 1 {
            let middle = usize::midpoint(least, most);
            *(if fits(&with(middle)) { &mut least } else { &mut most }) = middle;
        }
        (least > 0).then(|| with(least))
    };
    let mut ways: Vec<Vec<_>> = ROWS.iter().map(|way| way.iter().map(own).collect()).collect();
    // Those that were chosen already are no change.
    ways.retain(|_| asked.rows == config::ROWS && asked.partitions == 1);
    let of_rows = ways.iter().find(|way| fits(way)).cloned();
    let of_both = || ways.iter().rev().find_map(|way| with_dim(way));
    Ok(with_dim(&[]).into_iter().chain(of_rows.or_else(of_both)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(n_entities: u64) -> GraphShape {
        GraphShape {
            n_entities,
            n_relations: 5,
            n_triples: [4 * n_entities, 100, 100],
            weighted: false,
            queries: None,
        }
    }

    fn words(changes: &[Vec<(String, String)>]) -> Vec<String> {
        let word = |(key, value): &(String, String)| format!("{key} {value}");
        changes.iter().map(|all| all.iter().map(word).collect::<Vec<_>>().join(", ")).collect()
    }

    #[test]
    fn what_is_named_fits_and_a_step_more_does_not() {
        let shape = shape(100_000);
        let settings = [("dim", "200"), ("form", "negative-sampling")];
        let settings = settings.map(|(key, value)| (key.to_string(), value.to_string()));
        let sizes = Some((shape.n_entities, shape.n_triples[0]));
        let needed = |changes: &[(String, String)]| {
            let changed = [&settings[..], changes].concat();
            let config = Config::from_settings(&changed, sizes).unwrap();
            train_plan(&config, &shape, &Machine::new(1, None)).unwrap().ledger.total()
        };
        let rows = |of: &str| vec![("rows".to_string(), of.to_string())];
        for (budget, of_rows) in [(needed(&rows("bf16")), "bf16"), (needed(&rows("int8")), "int8")]
        {
            let machine = Machine::new(1, Some(budget));
            let found = nearest(&settings, &shape, &machine).unwrap();
            assert_eq!(words(&found)[1], format!("rows {of_rows}"));
            let dim: usize = found[0][0].1.parse().unwrap();
            let of_dim = |dim: usize| needed(&[("dim".to_string(), dim.to_string())]);
            assert!(of_dim(dim) <= budget && of_dim(dim + 4) > budget, "{dim}");
        }
        let none = nearest(&settings, &shape, &Machine::new(1, Some(1 << 20))).unwrap();
        assert!(none.is_empty(), "{none:?}");
    }
}
