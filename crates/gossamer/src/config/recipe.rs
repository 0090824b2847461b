//! Recipes: settings with the result that they gave.
//!
//! `bench/quality` measures the rows of docs/benchmarks.md, and each row that has a result is a
//! recipe; nobody writes one by hand.
//!
//! *Invariant:* the settings of every recipe are a valid configuration.

use std::sync::LazyLock;

use gossamer_machine::registry::Unknown;
use serde_json::Value;

/// Settings and what they gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The row of docs/benchmarks.md.
    pub name: String,
    /// The data set that was learned.
    pub data: String,
    /// The settings as flags, as they were given.
    pub flags: String,
    /// Test MRR: filtered, both sides.
    pub mrr: f64,
    /// Test Hits@10.
    pub hits_at_10: f64,
    /// Passes over the training triples.
    pub epochs: u64,
    /// What they took.
    pub seconds: f64,
    /// Where that was.
    pub machine: String,
}

static ALL: LazyLock<Vec<Recipe>> = LazyLock::new(|| {
    let lines = include_str!("../recipes.jsonl").lines();
    lines.filter_map(|line| recipe(&serde_json::from_str(line).ok()?)).collect()
});

/// Every recipe, in the order in which they were measured.
pub fn all() -> &'static [Recipe] {
    &ALL
}

/// The recipe with this name.
///
/// # Errors
/// [`Unknown`], with the names that exist.
pub fn find(name: &str) -> Result<&'static Recipe, Unknown> {
    all().iter().find(|recipe| recipe.name == name).ok_or_else(|| {
        let known = all().iter().map(|recipe| recipe.name.as_str()).collect();
        Unknown { kind: "recipe", name: name.to_string(), known }
    })
}

fn recipe(row: &Value) -> Option<Recipe> {
    let text = |key: &str| row[key].as_str().map(str::to_string);
    Some(Recipe {
        name: text("row")?,
        data: text("data")?,
        flags: text("settings")?,
        mrr: row["mrr"].as_f64()?,
        hits_at_10: row["hits_at_10"].as_f64()?,
        epochs: row["epochs"].as_u64()?,
        seconds: row["train_seconds"].as_f64()?,
        machine: text("machine")?,
    })
}

impl Recipe {
    /// Its settings, by their names in a configuration.
    pub fn settings(&self) -> Vec<(String, String)> {
        let words: Vec<&str> = self.flags.split_whitespace().collect();
        let setting = |pair: &[&str]| {
            let [flag, value] = pair else { return None };
            Some((flag.trim_start_matches('-').replace('-', "_"), (*value).to_string()))
        };
        words.chunks(2).filter_map(setting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn every_recipe_is_a_valid_configuration_with_a_result() {
        let lines = include_str!("../recipes.jsonl").lines().count();
        assert_eq!(all().len(), lines, "every line is read");
        for recipe in all() {
            let settings = recipe.settings();
            assert_eq!(2 * settings.len(), recipe.flags.split_whitespace().count());
            Config::from_settings(&settings, None).unwrap();
            assert!(0.0 < recipe.mrr && recipe.mrr <= recipe.hits_at_10 && recipe.epochs > 0);
            assert_eq!(find(&recipe.name).unwrap(), recipe);
        }
    }

    #[test]
    fn an_unknown_recipe_is_answered_with_the_nearest() {
        let said = find("complex-umlz").unwrap_err().to_string();
        assert!(said.contains("did you mean 'complex-umls'"), "{said}");
    }
}
