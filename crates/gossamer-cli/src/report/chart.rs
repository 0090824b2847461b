//! Curves as SVG, their words beside them in HTML so that they keep their size.

use gossamer_machine::ledger::bytes_in_words;
use maud::{Markup, html};

/// A line through (x, y) points, with least and most of both said. `peak`: the highest point
/// matters, else the last.
pub fn line(points: &[(f64, f64)], x: &str, peak: bool) -> Markup {
    let Some((first, last)) = points.first().zip(points.last()) else {
        return html! { p.soft { "nothing was measured" } };
    };
    let least = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let part =
        |value: f64, from: f64, to: f64| if to > from { (value - from) / (to - from) } else { 0.5 };
    let place = |(at, value): &(f64, f64)| {
        let (right, up) = (part(*at, first.0, last.0), part(*value, least, most));
        format!("{:.2},{:.2}", 2.0 + 596.0 * right, 98.0 - 96.0 * up)
    };
    let path: Vec<String> = points.iter().map(place).collect();
    let best = points.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(last);
    let said = if peak { best } else { last };
    let words = if peak { "best" } else { "last" };
    html! {
        div.chart {
            div.axis { span { (format!("{most:.4}")) } span { (words) " " (format!("{:.4}", said.1)) " at " (x) " " (said.0) } }
            svg viewBox="0 0 600 100" preserveAspectRatio="none" role="img"
                aria-label=(format!("from {:.4} to {:.4}", first.1, last.1)) {
                line x1="0" x2="600" y1="2" y2="2" {}
                line x1="0" x2="600" y1="50" y2="50" {}
                line x1="0" x2="600" y1="98" y2="98" {}
                polyline points=(path.join(" ")) {}
            }
            div.axis { span { (format!("{least:.4}")) } }
            div.axis { span { (x) " " (first.0) } span { (last.0) } }
        }
    }
}

/// Points of (bytes, MRR) on a logarithmic axis of bytes; those of `marked` stand out.
pub fn scatter(points: &[(f64, f64)], marked: &[(f64, f64)]) -> Markup {
    let over = |pick: fn(&(f64, f64)) -> f64| {
        let values = points.iter().map(pick);
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
    };
    if points.is_empty() {
        return html! { p.soft { "nothing was measured" } };
    }
    let ((few, many), (least, most)) = (over(|point| point.0.ln()), over(|point| point.1));
    let part =
        |value: f64, from: f64, to: f64| if to > from { (value - from) / (to - from) } else { 0.5 };
    // Percentages keep dots round at any width.
    let place = |(bytes, mrr): &(f64, f64)| {
        let (right, up) = (part(bytes.ln(), few, many), part(*mrr, least, most));
        (format!("{:.2}%", 3.0 + 94.0 * right), format!("{:.2}%", 95.0 - 90.0 * up))
    };
    let dot = |point: &(f64, f64)| {
        let (x, y) = place(point);
        let class = if marked.contains(point) { "marked" } else { "dot" };
        html! { circle.(class) cx=(x) cy=(y) r="4" {} }
    };
    let label = format!("{} trials, MRR from {least:.4} to {most:.4}", points.len());
    let [few, many] = [few, many].map(|log| bytes_in_words(log.exp().round() as u64));
    html! {
        div.chart {
            div.axis { span { "MRR " (format!("{most:.4}")) } }
            svg role="img" aria-label=(label) {
                @for point in points { (dot(point)) }
            }
            div.axis { span { (format!("{least:.4}")) } }
            div.axis { span { (few) } span { (many) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_fills_its_box_and_nothing_is_said_of_no_points() {
        let drawn = line(&[(1.0, 4.0), (2.0, 2.0), (3.0, 3.0)], "epoch", false).into_string();
        assert!(drawn.contains("2.00,2.00 300.00,98.00 598.00,50.00"), "{drawn}");
        assert!(drawn.contains("last 3.0000 at epoch 3"));
        assert!(
            line(&[(1.0, 4.0)], "epoch", true).into_string().contains("best 4.0000 at epoch 1")
        );
        assert!(line(&[], "epoch", true).into_string().contains("nothing"));
    }

    #[test]
    fn dots_stand_by_size_and_score_and_some_are_marked() {
        let points = [(1024.0, 0.1), (2048.0, 0.3), (4096.0, 0.2)];
        let drawn = scatter(&points, &points[1..2]).into_string();
        assert!(drawn.contains(r#"<circle class="marked" cx="50.00%" cy="5.00%""#), "{drawn}");
        assert_eq!(drawn.matches("class=\"dot\"").count(), 2);
        assert!(drawn.contains("1.0 KiB") && drawn.contains("4.0 KiB"));
        assert!(scatter(&[], &[]).into_string().contains("nothing"));
    }
}
