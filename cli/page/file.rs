//! Where a page goes: a file that appears whole, and only in the place of a page or of nothing.

use std::fs::{self, File};
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};

use crate::context::Context;
use crate::error::CliError;

/// What every page says of itself near its beginning.
const MARK: &str = "<meta name=\"generator\" content=\"tidemill\">";

/// Within how many bytes of its beginning a page says so.
const BEGINNING: u64 = 1024;

/// Writes a page and gives its path as people write it here; `-` is standard output, and has none.
pub(crate) fn write(context: &Context, path: &Utf8Path, html: &str) -> Result<Option<Utf8PathBuf>, CliError> {
    if path == "-" {
        context.ui.print(html)?;
        return Ok(None);
    }
    let path = context.folder.join(path);
    if path.symlink_metadata().is_ok() && !is_page(&path) {
        return Err(CliError::Usage {
            message: format!("{} is there already and is no page of Tidemill", context.relative(&path)),
            hint: Some("name another place with `--output`, or `--output -` for standard output".to_owned()),
        });
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(CliError::file("create", folder))?;
    }
    let unfinished = Utf8PathBuf::from(format!("{path}.{}.part", std::process::id()));
    let written = fs::write(&unfinished, html).and_then(|()| fs::rename(&unfinished, &path));
    written.inspect_err(|_| _ = fs::remove_file(&unfinished)).map_err(CliError::file("write", &path))?;
    Ok(Some(context.relative(&path).to_owned()))
}

/// Whether a file is one that this module wrote.
fn is_page(path: &Utf8Path) -> bool {
    let beginning = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(BEGINNING).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    beginning().is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("page.html");
        assert!(!is_page(&path), "there is none");
        fs::write(&path, "<!doctype html>\n<p>somebody's own").unwrap();
        assert!(!is_page(&path));
        fs::write(&path, include_str!("base.html")).unwrap();
        assert!(is_page(&path), "base.html does not say so within {BEGINNING} bytes");
    }
}
