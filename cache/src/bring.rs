//! Bringing a project file or folder into a step folder, exactly as it was seen.

use std::fs::{self, File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use camino::{Utf8Path, Utf8PathBuf};

use crate::blob::{each, stat};
use crate::cache::absolute;
use crate::manifest::Kind;
use crate::place::make_frame;
use crate::scan::gone_or_io;
use crate::{Cache, CacheError, Digest, Form, IgnoreRules, Seen};

/// Up to this size a file is copied, and the copy is what is hashed.
const COPIED: u64 = 1 << 20;

/// What a file of the project was when it was seen.
struct Expected {
    source: Utf8PathBuf,
    at: Utf8PathBuf,
    digest: Digest,
    size: u64,
    executable: bool,
}

impl Cache {
    /// Brings what was seen at `source` to `at`, where nothing is yet; the folder above it exists. Files to 1 MiB are
    /// copied, and the copy is what is compared; larger ones are cloned, else linked symbolically.
    ///
    /// # Errors
    /// [`CacheError::Changed`] if the source is no longer what was seen.
    pub fn bring(&self, seen: &Seen, source: &Utf8Path, at: &Utf8Path) -> Result<(), CacheError> {
        let (source, at) = (absolute(source)?, absolute(at)?);
        let Some(manifest) = &seen.manifest else {
            let executable = seen.artifact.form == Form::Executable;
            let (digest, size) = (seen.artifact.digest, seen.artifact.size);
            return self.bring_file(&Expected { source, at, digest, size, executable });
        };
        make_frame(manifest, &at)?;
        let mut files = Vec::new();
        for entry in manifest.entries() {
            if let Kind::File { executable, size, digest } = entry.kind {
                let (source, at) = (entry.path.below(&source), entry.path.below(&at));
                files.push(Expected { source, at, digest, size, executable });
            }
        }
        each(&files, |file| self.bring_file(file)).map(drop)
    }

    /// The files at `source` that may be linked from where they are brought to: not to be copied at any rate.
    pub fn may_be_linked(seen: &Seen, source: &Utf8Path) -> Vec<Utf8PathBuf> {
        let Some(manifest) = &seen.manifest else {
            return if seen.artifact.size > COPIED { vec![source.to_owned()] } else { Vec::new() };
        };
        let large = manifest.entries().iter().filter(|entry| match entry.kind {
            Kind::File { size, .. } => size > COPIED,
            _ => false,
        });
        large.map(|entry| entry.path.below(source)).collect()
    }

    fn bring_file(&self, file: &Expected) -> Result<(), CacheError> {
        if file.size <= COPIED { self.copy(file) } else { self.clone_or_link(file) }
    }

    /// A clone or link of a large file, which is looked at once more afterwards.
    fn clone_or_link(&self, file: &Expected) -> Result<(), CacheError> {
        let changed = || CacheError::Changed { path: file.source.clone() };
        let real = file.source.canonicalize_utf8().map_err(gone_or_io("find", &file.source))?;
        let source = stat(&real)?.ok_or_else(changed)?;
        let folder = file.at.parent().unwrap_or(&file.at);
        let device = stat(folder)?.map_or(0, |stamp| stamp.device);
        let cloned = self.inner.clones.try_clone(&real, source.device, &file.at, device);
        if cloned.map_err(CacheError::io("create", &file.at))? {
            give_mode(file)?;
        } else {
            symlink(&real, &file.at).map_err(CacheError::io("create", &file.at))?;
        }
        let now = self.look(&real, &IgnoreRules::builtin())?.ok_or_else(changed)?;
        let is_same =
            now.artifact.digest == file.digest && (now.artifact.form == Form::Executable) == file.executable;
        if is_same { Ok(()) } else { Err(changed()) }
    }

    fn copy(&self, file: &Expected) -> Result<(), CacheError> {
        let changed = || CacheError::Changed { path: file.source.clone() };
        let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0) + 1);
        let open = File::open(&file.source).map_err(gone_or_io("read", &file.source))?;
        let mode = open.metadata().map_err(CacheError::io("read", &file.source))?.mode();
        // One byte more than expected tells a file that has grown.
        open.take(file.size + 1).read_to_end(&mut bytes).map_err(CacheError::io("read", &file.source))?;
        if Digest::of(&bytes) != file.digest || (mode & 0o100 != 0) != file.executable {
            return Err(changed());
        }
        self.inner.parts.write(&file.at, &bytes, mode_of(file)).map_err(CacheError::io("create", &file.at))
    }
}

fn mode_of(file: &Expected) -> u32 {
    if file.executable { 0o755 } else { 0o644 }
}

fn give_mode(file: &Expected) -> Result<(), CacheError> {
    fs::set_permissions(&file.at, Permissions::from_mode(mode_of(file)))
        .map_err(CacheError::io("create", &file.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Scene, make_executable, mode, tamper};

    const LARGE: usize = 2 << 20;

    #[test]
    fn a_small_file_is_copied_and_the_copy_compared() {
        let scene = Scene::new();
        let source = scene.write("code.py", "print(1)");
        let seen = scene.look("code.py");
        scene.cache.bring(&seen, &source, &scene.path("copy")).unwrap();
        assert_eq!(
            (fs::read(scene.path("copy")).unwrap(), mode(&scene.path("copy"))),
            (b"print(1)".to_vec(), 0o644)
        );
        for (name, bytes) in [("same-size", "print(2)"), ("longer", "print(1)\n"), ("shorter", "print")] {
            scene.write("code.py", bytes);
            let brought = scene.cache.bring(&seen, &source, &scene.path(name));
            assert!(matches!(brought, Err(CacheError::Changed { path }) if path == source), "{name}");
        }
        fs::remove_file(&source).unwrap();
        assert!(matches!(
            scene.cache.bring(&seen, &source, &scene.path("gone")),
            Err(CacheError::Changed { .. })
        ));
    }

    #[test]
    fn a_large_file_is_not_copied_by_its_bytes() {
        let scene = Scene::new();
        let source = scene.write("data.csv", vec![1; LARGE]);
        let seen = scene.look("data.csv");
        scene.cache.bring(&seen, &source, &scene.path("brought")).unwrap();
        assert_eq!(scene.look("brought").artifact, seen.artifact);
        tamper(&source);
        let brought = scene.cache.bring(&seen, &source, &scene.path("again"));
        assert!(matches!(brought, Err(CacheError::Changed { .. })));
    }

    #[test]
    fn a_folder_comes_file_by_file() {
        let scene = Scene::new();
        scene.write("package/__init__.py", "");
        scene.write("package/data.bin", vec![1; LARGE]);
        make_executable(&scene.write("package/bin/tool", "#!/bin/sh"));
        let seen = scene.look("package");
        scene.write("package/undeclared.py", "came later");
        scene.cache.bring(&seen, &scene.path("package"), &scene.path("brought")).unwrap();
        assert!(!scene.path("brought/undeclared.py").exists());
        assert_eq!(mode(&scene.path("brought/bin/tool")), 0o755);
        assert_eq!(fs::metadata(scene.path("brought/data.bin")).unwrap().len(), LARGE as u64);
        scene.write("package/__init__.py", "changed");
        let brought = scene.cache.bring(&seen, &scene.path("package"), &scene.path("again"));
        assert!(
            matches!(brought, Err(CacheError::Changed { path }) if path.ends_with("package/__init__.py"))
        );
    }
}
