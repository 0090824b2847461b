//! The page of a search for settings.

use gossamer::tune::{Trial, front};
use gossamer_machine::ledger::bytes_in_words;
use maud::html;

use super::{chart, page};

/// The trials: those in full against their size, the best of them, and all.
pub fn html(trials: &[Trial]) -> String {
    let best = front(trials);
    let full: Vec<&Trial> = trials.iter().filter(|trial| trial.in_full()).collect();
    let point = |trial: &&Trial| (trial.bytes as f64, trial.mrr);
    let points: Vec<(f64, f64)> = full.iter().map(point).collect();
    let edge: Vec<(f64, f64)> = best.iter().map(point).collect();
    let mut all: Vec<&Trial> = trials.iter().collect();
    all.sort_by(|one, other| {
        (other.rung, other.mrr)
            .partial_cmp(&(one.rung, one.mrr))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let body = html! {
        h1 { "Search for settings" }
        p.soft { (trials.len()) " trials · gossamer " (env!("CARGO_PKG_VERSION")) }
        div.grid {
            section.wide {
                h2 { "Validation MRR by bytes" }
                (chart::scatter(&points, &edge))
                p.soft { "Every dot is a trial that learned in full; marked are those that no other beats in MRR, bytes and seconds." }
            }
            section.wide {
                h2 { "Trials" }
                table {
                    tr { th { "trial" } th { "rung" } th.n { "valid MRR" } th.n { "tables" } th.n { "seconds" } th { "settings" } }
                    @for trial in all {
                        tr {
                            td { (trial.number) }
                            td { (trial.rung + 1) }
                            td.n { (format!("{:.4}", trial.mrr)) }
                            td.n { (bytes_in_words(trial.bytes)) }
                            td.n { (format!("{:.0}", trial.seconds)) }
                            td { (settings_in_words(trial)) }
                        }
                    }
                }
            }
        }
    };
    page("Search for settings", &body)
}

/// What a trial changed, in few words.
pub fn settings_in_words(trial: &Trial) -> String {
    let config = &trial.config;
    let mut words = format!(
        "{} dim {}, {} {}, rate {}, batch {}",
        config.model,
        config.dim,
        config.regulariser,
        config.regularisation,
        config.learning_rate,
        config.batch
    );
    if config.relation_prediction > 0.0 {
        words += &format!(", relation prediction {}", config.relation_prediction);
    }
    if config.label_smoothing > 0.0 {
        words += &format!(", smoothing {}", config.label_smoothing);
    }
    words
}
