//! iALS: factors of users and items by alternating least squares over all pairs.
//!
//! *Formula:* least Σ over interactions of (1 − ⟨p, q⟩)² + α Σ over all pairs of ⟨p, q⟩² + λ Σ over rows of
//! (interactions of the row + α · rows of the other side) ‖row‖². With one side fixed each row of the other
//! solves dim equations. *Cost:* an epoch, interactions · dim² + rows · dim³ / 3.

use gossamer_machine::random::{Address, Purpose};
use gossamer_machine::{Ledger, Machine, Observer, Progress};

use super::problem::{Lists, Problem};
use super::scores::{Learned, Matrix};
use super::{Outcome, Recommender, Settings, Shape};
use crate::error::Error;

/// Implicit alternating least squares.
#[derive(Debug)]
pub struct Ials;

impl Recommender for Ials {
    fn name(&self) -> &'static str {
        "ials"
    }
    fn summary(&self) -> &'static str {
        "factors of users and items by least squares over all pairs"
    }
    fn formula(&self) -> &'static str {
        "s(u, i) = ⟨p_u, q_i⟩"
    }
    fn paper(&self) -> &'static str {
        "Hu, Koren, Volinsky: Collaborative Filtering for Implicit Feedback Datasets (ICDM 2008); \
         Rendle et al.: Revisiting the Performance of iALS (RecSys 2022)"
    }
    fn own(&self) -> &'static [&'static str] {
        &["dim", "absent", "regularisation", "epochs", "facts"]
    }
    fn fills_unseen(&self) -> bool {
        true
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings { facts: 1.0, regularisation: 0.01, ..settings }
    }
    fn plan(&self, shape: &Shape, settings: &Settings, ledger: &mut Ledger) {
        let rows = shape.n_users + shape.n_items;
        let words = format!("{rows} × {}", settings.dim);
        ledger.add("factors", words, "f32", 4 * rows * settings.dim as u64);
        let words = format!("{0} × {0}, of each thread and all", settings.dim);
        ledger.add("equations", words, "f64", 64 * (settings.dim * settings.dim) as u64);
    }
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let of_users = &problem.interactions[0];
        let of_items = of_users.turned(problem.items.len());
        let mut rows = [(0, problem.users.len()), (1, problem.items.len())]
            .map(|(side, n)| first_rows(settings, side, n));
        let total = settings.epochs as u64;
        for done in 0..total {
            let (stage, unit, detail) = ("least squares", "epochs", "");
            observer.progress(&Progress { stage, done, total, unit, detail });
            let [users, items] = &mut rows;
            solve(settings, machine, of_users, items, users);
            solve(settings, machine, &of_items, users, items);
            if observer.cancelled() {
                return Err(Error::Stopped);
            }
        }
        let [users, items] = rows;
        Ok(Learned::Factors { users, items }.into())
    }
}

/// Rows of a normal distribution of deviation 0.1 / √dim.
fn first_rows(settings: &Settings, side: u64, n: usize) -> Matrix {
    let (dim, address) = (settings.dim, Address::new(settings.seed, Purpose::Initial, 100 + side));
    let deviation = 0.1 / (dim as f64).sqrt();
    let value = |place: usize| {
        let (row, column) = ((place / dim) as u32, (place % dim) as u32);
        let angle = std::f64::consts::TAU * address.unit(row, 2 * column + 1);
        let radius = (-2.0 * (1.0 - address.unit(row, 2 * column)).ln()).sqrt();
        (deviation * radius * angle.cos()) as f32
    };
    Matrix { values: (0..n * dim).map(value).collect(), width: dim }
}

/// Solves every row of one side, the other fixed.
fn solve(settings: &Settings, machine: &Machine, lists: &Lists, fixed: &Matrix, out: &mut Matrix) {
    let (dim, absent) = (settings.dim, f64::from(settings.absent));
    let n_fixed = fixed.values.len() / dim;
    let mut all = vec![0.0f64; dim * dim];
    fixed.values.chunks_exact(dim).for_each(|row| add_square(&mut all, row));
    all.iter_mut().for_each(|x| *x *= absent);
    let tasks = out.values.chunks_exact_mut(dim).enumerate().collect();
    machine.workers.each(tasks, |(row, out): (usize, &mut [f32])| {
        let list = lists.of(row);
        let (mut left, mut right) = (all.clone(), vec![0.0f64; dim]);
        for other in list {
            let other = fixed.row(*other as usize);
            add_square(&mut left, other);
            right.iter_mut().zip(other).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        let penalty =
            f64::from(settings.regularisation) * (list.len() as f64 + absent * n_fixed as f64);
        (0..dim).for_each(|k| left[k * dim + k] += penalty.max(1e-9));
        solve_equations(&mut left, &mut right);
        out.iter_mut().zip(right).for_each(|(out, x)| *out = x as f32);
    });
}

/// Adds row · rowᵀ, below and on the diagonal.
fn add_square(out: &mut [f64], row: &[f32]) {
    for (i, out) in out.chunks_exact_mut(row.len()).enumerate() {
        let factor = f64::from(row[i]);
        out.iter_mut().zip(&row[..=i]).for_each(|(out, x)| *out += factor * f64::from(*x));
    }
}

/// The product of two rows, in lanes that are added at the end.
fn product(one: &[f64], other: &[f64]) -> f64 {
    const LANES: usize = 16;
    let (mut lanes, mut rest) = ([0.0; LANES], 0.0);
    let ((one, one_rest), (other, other_rest)) =
        (one.as_chunks::<LANES>(), other.as_chunks::<LANES>());
    for (one, other) in one.iter().zip(other) {
        (0..LANES).for_each(|lane| lanes[lane] += one[lane] * other[lane]);
    }
    one_rest.iter().zip(other_rest).for_each(|(x, y)| rest += x * y);
    lanes.iter().sum::<f64>() + rest
}

/// Solves A x = b by Cholesky, A given below and on its diagonal; x stands in b afterwards.
fn solve_equations(a: &mut [f64], b: &mut [f64]) {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let sum = product(&a[i * n..i * n + j], &a[j * n..j * n + j]);
            let rest = a[i * n + j] - sum;
            a[i * n + j] = if i == j { rest.max(1e-30).sqrt() } else { rest / a[j * n + j] };
        }
    }
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| a[i * n + k] * b[k]).sum();
        b[i] = (b[i] - sum) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| a[k * n + i] * b[k]).sum();
        b[i] = (b[i] - sum) / a[i * n + i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use gossamer_machine::Silent;

    #[test]
    fn at_the_end_no_row_has_a_slope_left() {
        let problem = two_tastes(24, 18);
        let settings = Settings { dim: 4, epochs: 300, ..Settings::of("ials").unwrap() };
        let machine = Machine::new(2, None);
        let learned = Ials.learn(problem.clone(), &settings, &machine, &Silent).unwrap().learned;
        let Learned::Factors { users, items } = learned else { panic!("factors") };
        let alone = Ials
            .learn(problem.clone(), &settings, &Machine::new(1, None), &Silent)
            .unwrap()
            .learned;
        assert_eq!(alone, Learned::Factors { users: users.clone(), items: items.clone() });
        let (absent, lambda) = (f64::from(settings.absent), f64::from(settings.regularisation));
        let dot = |one: &[f32], other: &[f32]| -> f64 {
            one.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum()
        };
        for user in 0..problem.users.len() {
            let list = problem.interactions[0].of(user);
            let penalty = lambda * (list.len() as f64 + absent * problem.items.len() as f64);
            for k in 0..4 {
                let mut slope = penalty * f64::from(users.row(user)[k]);
                for item in 0..problem.items.len() {
                    let score = dot(users.row(user), items.row(item));
                    let has = list.contains(&(item as u32));
                    let error = absent * score + if has { score - 1.0 } else { 0.0 };
                    slope += error * f64::from(items.row(item)[k]);
                }
                assert!(slope.abs() < 1e-3, "{user} {k}: {slope}");
            }
        }
    }
}
