//! Families of interchangeable things: one new thing is one new file and one line in a list.
//!
//! *Invariant:* an entry of the list is a module, a member of `ALL`, found by `find`, listed in
//! help, documented in the reference and checked by its family's conformance tests.

/// A name that no entry of a registry carries, with the names that exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {kind} is called '{name}'; known: {}{}", known.join(", "), hint(name, known))]
pub struct Unknown {
    /// What was looked for: "score function", "optimiser" …
    pub kind: &'static str,
    /// The name as it was asked for.
    pub name: String,
    /// Every name of the registry, in its order.
    pub known: Vec<&'static str>,
}

fn hint(name: &str, known: &[&str]) -> String {
    let nearest = nearest(name, known.iter().copied(), 1);
    nearest.first().map(|best| format!("\nhint: did you mean '{best}'?")).unwrap_or_default()
}

/// Least Jaro–Winkler similarity at which a name is worth suggesting: below it the suggestions
/// for a three-letter typo are noise.
const WORTH_SUGGESTING: f64 = 0.75;

/// The `n` names most like `name`, best first. Cost: one comparison per candidate.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>, n: usize) -> Vec<String> {
    let wanted = name.to_lowercase();
    let mut best: Vec<(f64, &str)> = Vec::with_capacity(n + 1);
    for candidate in candidates {
        let likeness = strsim::jaro_winkler(&wanted, &candidate.to_lowercase());
        if likeness < WORTH_SUGGESTING {
            continue;
        }
        let place = best.partition_point(|(other, _)| *other >= likeness);
        best.insert(place, (likeness, candidate));
        best.truncate(n);
    }
    best.into_iter().map(|(_, name)| name.to_string()).collect()
}

/// Declares the members of a family.
///
/// `registry!("loss", Loss: softmax::Softmax, margin::Margin,);` declares the modules, the static
/// list `ALL` in that order, and `find(name)`, whose error lists the known names. A file with
/// several entries joins them: `hits::AT_1 + AT_3 + AT_10,`.
#[macro_export]
macro_rules! registry {
    ($kind:literal, $contract:ident: $($module:ident::$entry:ident $(+ $more:ident)*,)+) => {
        $(pub mod $module;)+

        /// Every entry, in the order in which help and reference list them.
        pub static ALL: &[&'static dyn $contract] = &[$(&$module::$entry $(, &$module::$more)*),+];

        /// The entry that carries this name.
        ///
        /// # Errors
        /// [`Unknown`]($crate::registry::Unknown) with the names that exist.
        pub fn find(name: &str) -> Result<&'static dyn $contract, $crate::registry::Unknown> {
            ALL.iter().copied().find(|entry| entry.name() == name).ok_or_else(|| {
                $crate::registry::Unknown {
                    kind: $kind,
                    name: name.to_string(),
                    known: ALL.iter().map(|entry| entry.name()).collect(),
                }
            })
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_known_and_suggests_the_nearest() {
        let unknown =
            Unknown { kind: "loss", name: "sofmax".into(), known: vec!["softmax", "margin"] };
        let said = unknown.to_string();
        assert!(said.contains("softmax, margin") && said.contains("did you mean 'softmax'"));
    }

    #[test]
    fn nearest_prefers_the_closest_and_drops_the_far() {
        let names = ["France", "Franconia", "Zimbabwe"];
        assert_eq!(nearest("Frence", names.into_iter(), 2), ["France", "Franconia"]);
    }
}
