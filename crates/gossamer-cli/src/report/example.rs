//! Questions from the judged split with their best answers.

use gossamer::evaluate::{Candidates, Evaluation, Rank};
use gossamer::model::Asked;
use gossamer::query::{Answerer, asked_in_words};
use gossamer::{Error, Machine, Side};
use maud::{Markup, html};

/// A question.
pub struct Example {
    /// "France —borders→ ?"
    pub question: String,
    /// The best answers, each with whether it is the held-out one.
    pub answers: Vec<(String, bool)>,
    /// The held-out answer.
    pub wanted: String,
    /// Its filtered rank.
    pub rank: f64,
}

/// Questions spread evenly over the judged ranks, hits and misses as they come.
///
/// # Errors
/// Those of reading names.
pub fn examples(
    answerer: &Answerer,
    evaluation: &Evaluation,
    machine: &Machine,
) -> Result<Vec<Example>, Error> {
    const QUESTIONS: usize = 8;
    const ANSWERS: usize = 3;
    let ranks = &evaluation.ranks;
    let mut examples = Vec::new();
    for number in 0..QUESTIONS.min(ranks.len()) {
        // In the middle of each eighth: the same questions for the same run.
        let rank: &Rank = &ranks[(2 * number + 1) * ranks.len() / (2 * QUESTIONS)];
        let [head, relation, tail] = evaluation.triples[rank.triple as usize];
        let (known, answer) = if rank.side == Side::Tail { (head, tail) } else { (tail, head) };
        let asked = Asked { side: rank.side, known, relation };
        let names = answerer.run.graph.entities();
        // Other known answers do not compete with the held-out one.
        let found = answerer.predict(asked, &Candidates::All, false, 200, machine)?;
        let shown = found.iter().filter(|one| one.entity == answer || !one.known).take(ANSWERS);
        let mut answers = Vec::new();
        for one in shown {
            answers.push((names.shown(one.entity)?, one.entity == answer));
        }
        examples.push(Example {
            question: asked_in_words(&answerer.run, asked)?,
            answers,
            wanted: names.shown(answer)?,
            rank: rank.realistic(),
        });
    }
    Ok(examples)
}

/// The questions as a table.
pub fn section(examples: &[Example]) -> Markup {
    html! {
        section.wide {
            h2 { "Questions from the held-out triples" }
            div.scroll { table {
                tr { th { "question" } th { "best answers" } th { "held out" } th.number { "rank" } }
                @for example in examples {
                    tr {
                        td.name { (example.question) }
                        td.name {
                            @for (answer, wanted) in &example.answers {
                                div class=[wanted.then_some("hit")] { (answer) }
                            }
                        }
                        td.name { (example.wanted) }
                        td.number { (example.rank) }
                    }
                }
            } }
        }
    }
}
