//! The rails of a drawing for a terminal: a row per step, each after all that it depends on, and lines at its left that lead
//! from a step to those that depend on it, as `git log --graph` draws them.
//!
//! A rail belongs to a step and goes on to the last one that depends on it. What is drawn below a step touches it only if it
//! depends on it.

use super::picture::Picture;

/// More rails than this cannot be followed.
const MOST_RAILS: usize = 20;
/// More cards than this are no drawing any more.
const MOST_CARDS: usize = 400;

/// A line before its columns are set: rails, and the card that it is about, if any.
pub(super) struct Row {
    pub(super) rails: String,
    pub(super) card: Option<usize>,
}

/// The rows of a picture; none if there would be more rails than can be followed, or than so many columns hold.
pub(super) fn rows(picture: &Picture<'_>, room: usize) -> Option<Vec<Row>> {
    if picture.cards.len() > MOST_CARDS {
        return None;
    }
    let upstream = picture.upstream();
    let mut waiting = vec![0_usize; picture.cards.len()];
    upstream.iter().flatten().for_each(|from| waiting[*from] += 1);
    let mut rails = Rails { waiting, ..Rails::default() };
    for card in order(&upstream, &rails.waiting) {
        rails.add(card, &upstream[card]);
        if rails.open.len() > MOST_RAILS.min(room / 2) {
            return None;
        }
    }
    Some(rails.rows)
}

/// Every card after all that it depends on: first what ends rails, then what goes on from the latest one.
fn order(upstream: &[Vec<usize>], consumers: &[usize]) -> Vec<usize> {
    let mut left = consumers.to_vec();
    let mut drawn: Vec<Option<usize>> = vec![None; upstream.len()];
    let mut order = Vec::with_capacity(upstream.len());
    let mut open: Vec<usize> = (0..upstream.len()).collect();
    loop {
        let ready =
            open.iter().copied().filter(|card| upstream[*card].iter().all(|from| drawn[*from].is_some()));
        let best = ready.max_by_key(|card| {
            let ends = upstream[*card].iter().filter(|from| left[**from] == 1).count();
            let begins = usize::from(consumers[*card] > 0);
            let latest = upstream[*card].iter().filter_map(|from| drawn[*from]).max();
            (ends + 1 - begins, latest, std::cmp::Reverse(*card))
        });
        let Some(best) = best else { return order };
        drawn[best] = Some(order.len());
        order.push(best);
        upstream[best].iter().for_each(|from| left[*from] -= 1);
        open.retain(|card| *card != best);
    }
}

/// The rails while they are drawn.
#[derive(Default)]
struct Rails {
    /// By column, the card whose rail is there.
    open: Vec<Option<usize>>,
    /// By card, how many that depend on it are not drawn yet.
    waiting: Vec<usize>,
    rows: Vec<Row>,
    /// The column of the card in the last row.
    last: Option<usize>,
}

impl Rails {
    fn add(&mut self, card: usize, upstream: &[usize]) {
        upstream.iter().for_each(|from| self.waiting[*from] -= 1);
        let sources: Vec<usize> = (0..self.open.len())
            .filter(|column| self.open[*column].is_some_and(|from| upstream.contains(&from)))
            .collect();
        let ends = |column: &usize| self.open[*column].is_some_and(|from| self.waiting[from] == 0);
        let ending: Vec<usize> = sources.iter().copied().filter(ends).collect();
        let free = || self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        let column = ending.first().copied().unwrap_or_else(free);
        if column == self.open.len() {
            self.open.push(None);
        }
        if sources.is_empty() {
            // What is right above is nothing that it depends on.
            if self.last == Some(column) {
                let rails = self.draw(|_, open| if open { '│' } else { ' ' });
                self.rows.push(Row { rails, card: None });
            }
        } else if sources != [column] {
            self.connect(column, &sources, &ending);
        }
        ending.iter().for_each(|column| self.open[*column] = None);
        let rails = self.draw(|at, open| match open {
            _ if at == column => '●',
            true => '│',
            false => ' ',
        });
        self.rows.push(Row { rails, card: Some(card) });
        self.open[column] = Some(card).filter(|card| self.waiting[*card] > 0);
        self.last = self.open[column].is_none().then_some(column);
        while self.open.last() == Some(&None) {
            self.open.pop();
        }
    }

    /// A row that leads from the rails of what a card depends on to its column.
    fn connect(&mut self, column: usize, sources: &[usize], ending: &[usize]) {
        let ends = sources.iter().chain([&column]);
        let (first, last) = ends.fold((column, column), |(a, b), at| (a.min(*at), b.max(*at)));
        let mut rails = String::new();
        for (at, open) in self.open.iter().enumerate() {
            let joins = sources.contains(&at) || at == column;
            let inside = at >= first && at <= last;
            rails.push(match (joins, inside, open.is_some()) {
                (true, ..) => {
                    let up = sources.contains(&at);
                    let down = at == column || !ending.contains(&at);
                    corner(up, down, at > first, at < last)
                }
                (false, _, true) => '│',
                (false, true, false) => '─',
                (false, false, false) => ' ',
            });
            rails.push(if at >= first && at < last { '─' } else { ' ' });
        }
        self.rows.push(Row { rails: rails.trim_end().to_owned(), card: None });
    }

    fn draw(&self, sign: impl Fn(usize, bool) -> char) -> String {
        let mut rails = String::new();
        for (at, open) in self.open.iter().enumerate() {
            rails.push(sign(at, open.is_some()));
            rails.push(' ');
        }
        rails.trim_end().to_owned()
    }
}

/// The sign that joins these sides.
const fn corner(up: bool, down: bool, left: bool, right: bool) -> char {
    match (up, down, left, right) {
        (true, true, true, true) => '┼',
        (true, true, true, false) => '┤',
        (true, true, false, true) => '├',
        (true, true, false, false) => '│',
        (true, false, true, true) => '┴',
        (false, true, true, true) => '┬',
        (true, false, true, false) => '╯',
        (true, false, false, _) => '╰',
        (false, true, true, false) => '╮',
        (false, true, false, _) => '╭',
        (false, false, ..) => '─',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drawing of steps named by letters, each written as itself and what it depends on: `c ab`.
    fn drawn(steps: &[&str]) -> String {
        let names: Vec<&str> = steps.iter().map(|step| &step[..1]).collect();
        let place = |name: char| names.iter().position(|known| known.starts_with(name)).unwrap();
        let upstream: Vec<Vec<usize>> =
            steps.iter().map(|step| step[1..].trim().chars().map(place).collect()).collect();
        let mut waiting = vec![0; steps.len()];
        upstream.iter().flatten().for_each(|from| waiting[*from] += 1);
        let mut rails = Rails { waiting: waiting.clone(), ..Rails::default() };
        for card in order(&upstream, &waiting) {
            rails.add(card, &upstream[card]);
        }
        let line = |row: &Row| match row.card {
            Some(card) => format!("{} {}\n", row.rails, names[card]),
            None => format!("{}\n", row.rails),
        };
        rails.rows.iter().map(line).collect()
    }

    #[test]
    fn a_chain_is_one_rail() {
        assert_eq!(drawn(&["a", "b a", "c b"]), "● a\n● b\n● c\n");
    }

    #[test]
    fn rails_part_and_meet() {
        assert_eq!(drawn(&["a", "b a", "c a", "d bc"]), "● a\n├─╮\n│ ● b\n● │ c\n├─╯\n● d\n");
        assert_eq!(drawn(&["a", "b a", "c ab", "d abc"]), "● a\n├─╮\n│ ● b\n├─┼─╮\n│ │ ● c\n├─┴─╯\n● d\n");
    }

    #[test]
    fn a_rail_that_is_crossed_goes_on() {
        let steps = ["a", "b", "c", "d ac", "e bd"];
        assert_eq!(drawn(&steps), "● a\n│ ● b\n│ │ ● c\n├─│─╯\n● │ d\n├─╯\n● e\n");
    }

    #[test]
    fn what_nothing_connects_does_not_touch() {
        assert_eq!(drawn(&["a", "b", "c b"]), "● a\n\n● b\n● c\n");
    }
}
