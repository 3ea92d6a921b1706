//! The files that go to Ray before its jobs: zips that hold one file each.

use std::io::{self, Cursor, Read};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What they are called in a request.
pub(super) const KIND: &str = "application/zip";

/// A zip that holds one file, with what Unix lets one do with it.
pub(super) fn zip(name: &str, mode: u32, mut content: impl Read) -> io::Result<Vec<u8>> {
    let packed =
        SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).unix_permissions(mode);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, packed)?;
    io::copy(&mut content, &mut zip)?;
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_can_read_it() {
        let zip = zip("keeper", 0o600, "echo ü\n".as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keeper.zip");
        std::fs::write(&path, zip).unwrap();
        let script = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1]) as z: i, = z.infolist(); print(oct(i.external_attr >> 16), i.filename, z.read(i).decode())";
        let output = std::process::Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "0o100600 keeper echo ü\n\n");
    }
}
