//! What `metrics diff` and `params diff` share: the same arguments.

use tidemill_engine::record::Rows;

use crate::context::Context;
use crate::ui::comparison::Style;
use crate::ui::sink::{Form, Loudness};

/// Which runs are compared, and how that is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// The runs: ids, beginnings of ids, or `last`.
    #[arg(value_name = "RUN")]
    pub(crate) runs: Vec<String>,
    /// Show what is the same in all runs too.
    #[arg(long)]
    pub(crate) all: bool,
    /// Print a Markdown table, for a pull request.
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}

impl DiffArgs {
    /// Which rows are wanted.
    pub(crate) fn rows(&self) -> Rows {
        if self.all { Rows::All } else { Rows::Changed }
    }

    /// How the table is to be written.
    pub(crate) fn style(&self) -> Style {
        if self.markdown { Style::Markdown } else { Style::Text }
    }

    /// Tells how many rows are left out because they are the same.
    pub(crate) fn tell_unchanged(&self, context: &Context, unchanged: usize) {
        let ui = &context.ui;
        if unchanged > 0 && !self.all && ui.form == Form::Text && ui.loudness > Loudness::Quiet {
            ui.tell(&format!("{unchanged} the same; --all shows them\n"));
        }
    }
}
