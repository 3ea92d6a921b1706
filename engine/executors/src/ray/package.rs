//! The file that goes to Ray before its job: a zip that holds one file as it is.

/// Read and written by its owner alone.
const MODE: u32 = 0o100_600;
/// The first of January 1980, when the time of zips begins.
const DATE: u16 = 0x21;
/// The version of the format, and that the mode is one of Unix.
const VERSION: u16 = 20;
const UNIX: u16 = 3 << 8;

/// A zip that holds one file.
pub(super) fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let short = |length: usize| u16::try_from(length).expect("its name is short").to_le_bytes();
    let long = |length: usize| u32::try_from(length).expect("a script is shorter than 4 GiB").to_le_bytes();
    // What both headers say of the file: version, flags, method, time, date, checksum, sizes, and the lengths of name and extras.
    let mut file = Vec::new();
    file.extend(VERSION.to_le_bytes());
    file.extend([0; 6]);
    file.extend(DATE.to_le_bytes());
    file.extend(checksum(content).to_le_bytes());
    file.extend(long(content.len()));
    file.extend(long(content.len()));
    file.extend(short(name.len()));
    file.extend([0; 2]);

    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend(&file);
    zip.extend(name.as_bytes());
    zip.extend(content);
    let directory = zip.len();
    zip.extend(b"PK\x01\x02");
    zip.extend((UNIX | VERSION).to_le_bytes());
    zip.extend(&file);
    // No comment, the first disk, nothing internal.
    zip.extend([0; 6]);
    zip.extend((MODE << 16).to_le_bytes());
    // Where the file begins.
    zip.extend([0; 4]);
    zip.extend(name.as_bytes());
    let length = zip.len() - directory;
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(long(length));
    zip.extend(long(directory));
    zip.extend([0; 2]);
    zip
}

/// CRC-32, as zips have it.
fn checksum(content: &[u8]) -> u32 {
    !content.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_zips() {
        assert_eq!(checksum(b""), 0);
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn others_can_read_it() {
        let zip = zip("keeper", "echo ü\n".as_bytes());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("package.zip");
        std::fs::write(&path, zip).unwrap();
        let script = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1]) as z: i, = z.infolist(); print(oct(i.external_attr >> 16), i.filename, z.read(i).decode())";
        let output = std::process::Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "0o100600 keeper echo ü\n\n");
    }
}
