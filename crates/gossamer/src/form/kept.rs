//! What a loss made of a batch's scores, kept between the passes of a step as far as the plan
//! allows, panel by panel from the first.
//!
//! *Invariant:* it never takes more memory than it was last allowed, however panels change from
//! step to step: all of them stand in one array, which is made anew where it is too small.

/// The values of a step's first panels; room that is used again and again.
#[derive(Debug, Default)]
pub struct Kept {
    values: Vec<u32>,
    maxima: Vec<f32>,
    /// Words and queries of a panel; the last one may have fewer words.
    panel: [usize; 2],
}

/// What was made of one panel.
#[derive(Clone, Copy)]
pub struct KeptPanel<'a> {
    /// (rows of the panel × queries): e^(score − largest) or sigmoids, as f32 or, two rows in a
    /// word, as bf16.
    pub values: &'a [u32],
    /// The largest score of each query in the panel.
    pub maxima: &'a [f32],
}

/// Where it is put.
pub struct KeptPanelMut<'a> {
    /// As [`KeptPanel::values`].
    pub values: &'a mut [u32],
    /// As [`KeptPanel::maxima`].
    pub maxima: &'a mut [f32],
}

impl Kept {
    /// Makes room for panels of so many words and queries each, the last of which has `last` words.
    pub fn fit(&mut self, n_panels: usize, [words, n_queries]: [usize; 2], last: usize) {
        let (n_words, n_maxima) = match n_panels {
            0 => (0, 0),
            _ => ((n_panels - 1) * words + last, n_panels * n_queries),
        };
        self.panel = [words, n_queries];
        if self.values.capacity() < n_words || self.maxima.capacity() < n_maxima {
            // Given back before more is taken.
            (self.values, self.maxima) = (Vec::new(), Vec::new());
            (self.values, self.maxima) = (vec![0; n_words], vec![0.0; n_maxima]);
        }
        self.values.resize(n_words, 0);
        self.maxima.resize(n_maxima, 0.0);
    }

    /// What was made of a panel, if there was room for it.
    pub fn panel(&self, index: usize) -> Option<KeptPanel<'_>> {
        let [words, n_queries] = self.panel;
        let maxima = self.maxima.get(index * n_queries..)?.get(..n_queries)?;
        let values = self.values.get(index * words..)?;
        Some(KeptPanel { values: &values[..words.min(values.len())], maxima })
    }

    /// Where what is made of each panel is put.
    pub fn panels_mut(&mut self) -> impl Iterator<Item = KeptPanelMut<'_>> {
        let [words, n_queries] = self.panel.map(|n| n.max(1));
        let values = self.values.chunks_mut(words).zip(self.maxima.chunks_exact_mut(n_queries));
        values.map(|(values, maxima)| KeptPanelMut { values, maxima })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_that_change_from_step_to_step_take_no_more_than_the_largest_step() {
        let mut kept = Kept::default();
        let mut most = 0;
        for step in 0..40 {
            // Many small panels, then few large ones, of about as many words.
            let (n_panels, words) = [(7, 64), (2, 240), (0, 64), (5, 100)][step % 4];
            let last = words / 2;
            kept.fit(n_panels, [words, 10], last);
            let sizes: Vec<usize> = kept.panels_mut().map(|panel| panel.values.len()).collect();
            assert_eq!(sizes.len(), n_panels);
            assert!(sizes.iter().rev().skip(1).all(|size| *size == words));
            assert_eq!(sizes.last().copied().unwrap_or(last), last);
            for (place, panel) in kept.panels_mut().enumerate() {
                panel.values.fill(place as u32);
                panel.maxima.fill(place as f32);
            }
            for (place, size) in sizes.iter().enumerate() {
                let panel = kept.panel(place).unwrap();
                assert!(panel.values.iter().all(|value| *value == place as u32));
                assert_eq!((panel.values.len(), panel.maxima), (*size, &[place as f32; 10][..]));
            }
            assert!(kept.panel(n_panels).is_none());
            most = most.max(sizes.iter().sum::<usize>() + 10 * n_panels);
            assert!(kept.values.capacity() + kept.maxima.capacity() <= most);
        }
    }
}
