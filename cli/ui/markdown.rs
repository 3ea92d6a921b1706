//! Markdown: tables that GitHub and GitLab draw, with nothing in a cell that could be taken for anything but text.

use super::text::clean;

/// A table: titles with whether their column holds numbers, and rows. What stands in the first column is set as code.
pub(crate) fn table(titles: &[(String, bool)], rows: &[Vec<String>]) -> String {
    let line =
        |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let mut text = line(&mut titles.iter().map(|(title, _)| plain(title)));
    text.push_str(&line(
        &mut titles.iter().map(
            |(_, is_number)| {
                if *is_number { "---:".to_owned() } else { "---".to_owned() }
            },
        ),
    ));
    for row in rows {
        let cells =
            row.iter().enumerate().map(|(place, cell)| if place == 0 { code(cell) } else { plain(cell) });
        text.push_str(&line(&mut cells.into_iter()));
    }
    text
}

/// Text without meaning for Markdown.
fn plain(text: &str) -> String {
    let mut escaped = String::new();
    for c in clean(text).trim().chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '|' | '~' | '#' | '&' | '@') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Text as code, between more backticks than it has in a row.
fn code(text: &str) -> String {
    let text = clean(text).trim().replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_and_nothing_else() {
        let titles = [("metric".to_owned(), false), ("a_b".to_owned(), true)];
        let rows = [["train[f=`a|b`].loss", " 1.5  "], ["plain", "<b>|\u{1b}[31m@all"]];
        let rows = rows.map(|row| row.map(String::from).to_vec());
        insta::assert_snapshot!(table(&titles, &rows), @r"
        | metric | a\_b |
        | --- | ---: |
        | `` train[f=`a\|b`].loss `` | 1.5 |
        | `plain` | \<b\>\|\@all |
        ");
    }
}
