//! Curves as SVG, their words beside them in HTML so that they keep their size.

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
}
