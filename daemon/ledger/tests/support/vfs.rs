//! An SQLite VFS (<https://www.sqlite.org/vfs.html>) over the system's own that records what is written and synced, and
//! that is full when it is told so. Syncs are recorded and not passed on: the disk that matters is the recording.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

/// One thing that was asked of a file. Shared memory is not recorded: a crash loses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Bytes at an offset.
    Write {
        file: PathBuf,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// A new length.
    Truncate { file: PathBuf, length: u64 },
    /// All before is durable for this file.
    Sync { file: PathBuf },
}

impl Event {
    /// The file that it is about.
    pub(crate) fn file(&self) -> &PathBuf {
        match self {
            Self::Write { file, .. } | Self::Truncate { file, .. } | Self::Sync { file } => file,
        }
    }
}

/// A registered VFS. It lives as long as the process, for SQLite keeps its address.
pub(crate) struct Recorder {
    name: CString,
    base: *mut ffi::sqlite3_vfs,
    events: Mutex<Vec<Event>>,
    // Lengths as the recording knows them, and how many bytes all files may still grow.
    lengths: Mutex<HashMap<PathBuf, u64>>,
    // Files that are gone, but not durably: their folder was not synced.
    deleted: Mutex<Vec<PathBuf>>,
    gate: Mutex<Gate>,
    gate_moves: Condvar,
    room: AtomicU64,
}

// SAFETY: `base` is SQLite's own VFS, which is made to be called from any thread; the rest is behind locks.
unsafe impl Send for Recorder {}
// SAFETY: as above.
unsafe impl Sync for Recorder {}

/// Where syncs wait while a test wants a slow disk.
#[derive(Default)]
struct Gate {
    closed: bool,
    waiting: usize,
}

/// A file: SQLite's part, ours, and behind it the system's file, `szOsFile` bytes of it.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    recorder: *const Recorder,
    path: *mut PathBuf,
    real: *mut ffi::sqlite3_file,
    // The system's VFS syncs the folder with the first sync of a journal or log that it made.
    syncs_folder: bool,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Version 2 has shared memory and no memory map, so that each read and write passes here.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

impl Recorder {
    /// Registers a recorder under `name`.
    pub(crate) fn register(name: &str) -> &'static Self {
        let name = CString::new(name).expect("a test's name has no NUL");
        // SAFETY: NULL asks for the default VFS, which is registered by SQLite's own start.
        let base = unsafe {
            assert_eq!(ffi::sqlite3_initialize(), ffi::SQLITE_OK);
            ffi::sqlite3_vfs_find(ptr::null())
        };
        assert!(!base.is_null());
        let recorder: &'static Self = Box::leak(Box::new(Self {
            name,
            base,
            events: Mutex::new(Vec::new()),
            lengths: Mutex::new(HashMap::new()),
            deleted: Mutex::new(Vec::new()),
            gate: Mutex::new(Gate::default()),
            gate_moves: Condvar::new(),
            room: AtomicU64::new(u64::MAX),
        }));
        // SAFETY: `base` points to a VFS that is never unregistered here; copying it copies its function pointers.
        let mut vfs = unsafe { ptr::read(base) };
        let own = c_int::try_from(size_of::<File>()).expect("a small struct");
        vfs.szOsFile += own;
        vfs.pNext = ptr::null_mut();
        vfs.zName = recorder.name.as_ptr();
        vfs.pAppData = ptr::from_ref(recorder).cast_mut().cast::<c_void>();
        vfs.xOpen = Some(open);
        // The other functions get our VFS as their first argument and look only at what was copied: the base's
        // `pAppData` is used by its xOpen alone, which is called with the base itself.
        vfs.xDelete = Some(delete);
        // SAFETY: the VFS is leaked, so that its address stays valid; its name is unique in this process.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0) };
        assert_eq!(registered, ffi::SQLITE_OK);
        recorder
    }

    /// The name that a connection opens it by.
    pub(crate) fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    /// How much was recorded so far.
    pub(crate) fn len(&self) -> usize {
        self.events().len()
    }

    /// What was recorded so far.
    pub(crate) fn recording(&self) -> Vec<Event> {
        self.events().clone()
    }

    /// Bytes that files may still grow before the disk is full.
    pub(crate) fn set_room(&self, bytes: u64) {
        self.room.store(bytes, Ordering::SeqCst);
    }

    /// What [`Self::set_room`] has left.
    pub(crate) fn room(&self) -> u64 {
        self.room.load(Ordering::SeqCst)
    }

    /// The folder is synced: what was deleted stays so.
    fn sync_folder(&self) {
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        self.events()
            .extend(deleted.drain(..).map(|file| Event::Sync { file }));
    }

    /// Makes syncs wait until [`Self::open_gate`].
    pub(crate) fn close_gate(&self) {
        self.gate().closed = true;
    }

    /// Lets syncs go on.
    pub(crate) fn open_gate(&self) {
        self.gate().closed = false;
        self.gate_moves.notify_all();
    }

    /// Returns when a sync waits.
    pub(crate) fn wait_for_sync(&self) {
        let gate = self.gate_moves.wait_while(self.gate(), |gate| gate.waiting == 0);
        drop(gate.unwrap_or_else(PoisonError::into_inner));
    }

    fn pass_gate(&self) {
        let mut gate = self.gate();
        gate.waiting += 1;
        self.gate_moves.notify_all();
        gate = self
            .gate_moves
            .wait_while(gate, |gate| gate.closed)
            .unwrap_or_else(PoisonError::into_inner);
        gate.waiting -= 1;
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for a write that ends at `end`. False when there is none.
    fn grow(&self, path: &Path, end: u64) -> bool {
        let mut lengths = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        let length = lengths.entry(path.to_owned()).or_insert(0);
        let more = end.saturating_sub(*length);
        let room = self.room();
        if more > room {
            return false;
        }
        if room != u64::MAX {
            self.set_room(room - more);
        }
        *length = (*length).max(end);
        true
    }
}

/// The recorder and path of a file that [`open`] made.
///
/// # Safety
/// `file` must come from [`open`] and not be closed.
unsafe fn parts<'a>(file: *mut ffi::sqlite3_file) -> (&'a Recorder, &'a PathBuf, *mut ffi::sqlite3_file) {
    // SAFETY: by the caller's promise this is our struct, whose pointers `open` set to things that live until `close`.
    unsafe {
        let file = &*file.cast::<File>();
        (&*file.recorder, &*file.path, file.real)
    }
}

/// Calls a method of the real file.
macro_rules! forward {
    ($file:ident, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: SQLite calls this with a file that `open` made; the real file behind it is open, and its methods are
        // the system VFS's own, called with SQLite's own arguments.
        unsafe {
            let (_, _, real) = parts($file);
            match (*(*real).pMethods).$method {
                Some(method) => method(real $(, $argument)*),
                None => ffi::SQLITE_OK,
            }
        }
    }};
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives `szOsFile` bytes at `file`: ours, then the base's. `pAppData` is the leaked recorder. A
    // name, when there is one, is a C string that lives as long as the file.
    unsafe {
        let recorder = (*vfs).pAppData.cast_const().cast::<Recorder>();
        let ours = file.cast::<File>();
        let real = ours.add(1).cast::<ffi::sqlite3_file>();
        let base = (*recorder).base;
        let Some(base_open) = (*base).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        let opened = base_open(base, name, real, flags, out_flags);
        (*ours).base.pMethods = ptr::null();
        if opened == ffi::SQLITE_OK {
            let path = if name.is_null() {
                PathBuf::new()
            } else {
                path(name)
            };
            (*ours).recorder = recorder;
            (*ours).path = Box::into_raw(Box::new(path));
            (*ours).real = real;
            let journals =
                ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
            (*ours).syncs_folder = flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & journals != 0;
            (*ours).base.pMethods = &raw const METHODS;
        }
        opened
    }
}

/// # Safety
/// `name` must be a C string.
unsafe fn path(name: *const c_char) -> PathBuf {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    PathBuf::from(name.to_string_lossy().into_owned())
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: `pAppData` is the leaked recorder, `name` a C string from SQLite; the base deletes by name.
    unsafe {
        let recorder = &*(*vfs).pAppData.cast_const().cast::<Recorder>();
        let gone = path(name);
        recorder.events().push(Event::Truncate {
            file: gone.clone(),
            length: 0,
        });
        recorder
            .deleted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(gone.clone());
        if sync != 0 {
            recorder.sync_folder();
        }
        recorder
            .lengths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&gone);
        match (*recorder.base).xDelete {
            Some(delete) => delete(recorder.base, name, sync),
            None => ffi::SQLITE_IOERR,
        }
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let closed = forward!(file, xClose);
    // SAFETY: `open` made the path with a Box; SQLite closes a file once.
    unsafe { drop(Box::from_raw((*file.cast::<File>()).path)) };
    closed
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    forward!(file, xRead, to, amount, offset)
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite calls this with a file that `open` made.
    let (recorder, path, _) = unsafe { parts(file) };
    // SAFETY: SQLite gives `amount` bytes at `from`.
    let bytes =
        unsafe { std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(amount).unwrap_or(0)) };
    let offset_bytes = offset.cast_unsigned();
    if !recorder.grow(path, offset_bytes + bytes.len() as u64) {
        return ffi::SQLITE_FULL;
    }
    recorder.events().push(Event::Write {
        file: path.clone(),
        offset: offset_bytes,
        bytes: bytes.to_vec(),
    });
    forward!(file, xWrite, from, amount, offset)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: SQLite calls this with a file that `open` made.
    let (recorder, path, _) = unsafe { parts(file) };
    recorder.events().push(Event::Truncate {
        file: path.clone(),
        length: length.cast_unsigned(),
    });
    forward!(file, xTruncate, length)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite calls this with a file that `open` made, and with one call on a file at a time.
    let ((recorder, path, _), syncs_folder) = unsafe {
        (
            parts(file),
            std::mem::take(&mut (*file.cast::<File>()).syncs_folder),
        )
    };
    recorder.pass_gate();
    recorder.events().push(Event::Sync { file: path.clone() });
    if syncs_folder {
        recorder.sync_folder();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    forward!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    forward!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    forward!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    forward!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    forward!(file, xFileControl, operation, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    forward!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    forward!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    forward!(file, xShmMap, page, size, extend, out)
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    forward!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as in `forward`; this method alone returns nothing.
    unsafe {
        let (_, _, real) = parts(file);
        if let Some(method) = (*(*real).pMethods).xShmBarrier {
            method(real);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    forward!(file, xShmUnmap, delete)
}
