//! Whether what arrived is what was sent.

use std::io;

use mains_contract::Bytes;
use mains_types::{Digest, StoredFile};
use sha2::{Digest as _, Sha256};

use super::incoming::{Arriving, Incoming};
use super::layout::refused;
use crate::StoreError;
use crate::disk::Disk;

/// Bytes read at once when a file is hashed again.
const READ_BYTES: usize = 1 << 20;

impl Incoming {
    /// See [`super::Library::check`].
    pub(super) fn check(
        &mut self,
        disk: &dyn Disk,
        digests: &[Digest],
        beat: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<Vec<StoredFile>, StoreError> {
        if digests.len() != self.request.files.len() {
            return Err(refused("the list of digests", "is not one for each file"));
        }
        let total: Bytes = self.request.files.iter().map(|file| file.bytes).sum();
        let mut done = Bytes::ZERO;
        let mut stored = Vec::with_capacity(digests.len());
        for (number, wanted) in digests.iter().enumerate() {
            let file = &self.request.files[number];
            let (name, bytes) = (file.name.clone(), file.bytes);
            if self.received[number] != bytes {
                let why = format!("{} of {} are there", self.received[number], bytes);
                return Err(StoreError::Damaged { file: name, why });
            }
            let digest = self.digest(disk, number, &mut |read| beat(done + read, total))?;
            if digest != *wanted {
                self.received[number] = Bytes::ZERO;
                self.open[number] = Arriving::at(Bytes::ZERO);
                self.save(disk)?;
                let why = format!("its SHA-256 is {digest} here and {wanted} there");
                return Err(StoreError::Damaged { file: name, why });
            }
            done += bytes;
            beat(done, total);
            stored.push(StoredFile {
                name: self.names[number].clone(),
                bytes,
                digest,
            });
        }
        Ok(stored)
    }

    /// The digest of a whole file: known where this process has written all of it, read otherwise.
    fn digest(
        &self,
        disk: &dyn Disk,
        number: usize,
        beat: &mut dyn FnMut(Bytes),
    ) -> Result<Digest, StoreError> {
        if let Some(hash) = &self.open[number].hash {
            return Ok(Digest(hash.clone().finalize().into()));
        }
        let path = self.path(number);
        let failed = |error: io::Error| StoreError::io("read", &path, &error);
        let mut reader = disk.reader(&path).map_err(failed)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut read = Bytes::ZERO;
        loop {
            match reader.read(&mut buffer).map_err(failed)? {
                0 => return Ok(Digest(hash.finalize().into())),
                count => {
                    hash.update(&buffer[..count]);
                    read += Bytes::from(count);
                    beat(read);
                }
            }
        }
    }
}
