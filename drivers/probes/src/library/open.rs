//! Opens a library at run time and finds its functions one by one.

use std::ffi::{CString, c_char, c_void};
use std::mem::ManuallyDrop;
use std::path::Path;

use libloading::os::unix::{Library as Opened, RTLD_GLOBAL, RTLD_LAZY};
use mains_contract::ProbeError;

use super::call::invoke;
use super::facts;

/// A maker's library, open until the process ends: several leave threads behind that would run in unmapped code, and
/// opening one again costs nothing.
pub(crate) struct Library(ManuallyDrop<Opened>);

/// Why a library does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It lacks a function without which nothing can be asked.
    #[error("the library has no {0}: it is older or newer than what mains knows")]
    Missing(&'static str),
    /// A function answered with a code.
    #[error("{call} failed with code {code}")]
    Code {
        /// The function.
        call: &'static str,
        /// What it returned.
        code: i32,
    },
}

impl Library {
    /// Opens `given`, or the first of `names` that there is, after each of `before` whose symbols it needs. `None` when
    /// there is none.
    ///
    /// # Errors
    /// [`ProbeError`] when a file is there and can not be opened, or `given` is not there.
    pub(crate) fn open(
        given: Option<&Path>,
        names: &[&str],
        before: &[&str],
    ) -> Result<Option<Self>, ProbeError> {
        if let Some(given) = given {
            return match load(given) {
                Ok(library) => Ok(Some(library)),
                Err(_) if !given.exists() => Ok(None),
                Err(error) => Err(damaged(&given.display().to_string(), &error)),
            };
        }
        for name in before {
            // One that is not there shows when the library itself can not be opened.
            let _not_there = load(Path::new(name));
        }
        let mut damage = None;
        for name in names.iter().flat_map(|name| expand(name)) {
            match load(Path::new(&name)) {
                Ok(library) => return Ok(Some(library)),
                // The loader does not tell "not there" from "broken" for a bare name: a full path shows it.
                Err(error) if name.contains('/') && Path::new(&name).exists() => {
                    damage.get_or_insert_with(|| damaged(&name, &error));
                }
                Err(_) => {}
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// The address of a function, when the library has it.
    pub(crate) fn symbol(&self, name: &str) -> Option<*mut c_void> {
        let name = CString::new(name).ok()?;
        // SAFETY: the symbol is taken as a bare address; whoever calls it argues for its type.
        let symbol = unsafe { self.0.get::<*mut c_void>(name.as_bytes_with_nul()) }.ok()?;
        let address = symbol.into_raw();
        (!address.is_null()).then_some(address)
    }

    /// The address of a function that must be there.
    pub(crate) fn need(&self, name: &'static str) -> Result<*mut c_void, Refused> {
        self.symbol(name).ok_or(Refused::Missing(name))
    }

    /// The first of `names` that the library has, with its address.
    pub(crate) fn need_one(&self, names: &[&'static str]) -> Result<(&'static str, *mut c_void), Refused> {
        let found = names.iter().find_map(|name| Some((*name, self.symbol(name)?)));
        found.ok_or_else(|| Refused::Missing(names.first().copied().unwrap_or("function")))
    }

    /// What `name(char *text, unsigned length)` writes.
    ///
    /// # Safety
    /// The library's function of that name has this signature and returns 0 for success.
    pub(crate) unsafe fn text(&self, name: &str) -> Option<String> {
        /// The longest version string that a header allows is 128 bytes.
        const ROOM: u32 = 256;
        let function = self.symbol(name)?;
        let mut text = [0_u8; 2 * ROOM as usize];
        // SAFETY: as the caller promises; the text has twice the room that the library is told.
        let code = unsafe { invoke!(function, text.as_mut_ptr().cast() => *mut c_char, ROOM => u32) };
        Some(facts::clean(&text)).filter(|text| code == 0 && !text.is_empty())
    }
}

/// `Ok` for 0.
pub(crate) const fn check(call: &'static str, code: i32) -> Result<(), Refused> {
    match code {
        0 => Ok(()),
        code => Err(Refused::Code { call, code }),
    }
}

fn load(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: loading runs the initialisers of a library that an administrator installed for this purpose or named in
    // the environment; probes run in walled processes so that a broken one costs its process alone.
    let opened = unsafe { Opened::open(Some(path), RTLD_LAZY | RTLD_GLOBAL) }?;
    Ok(Library(ManuallyDrop::new(opened)))
}

fn damaged(name: &str, error: &libloading::Error) -> ProbeError {
    ProbeError(format!("{name} can not be opened: {error}"))
}

/// `$NAME/rest` with the variable's value, or nothing when it is not set.
fn expand(name: &str) -> Option<String> {
    let Some(tail) = name.strip_prefix('$') else {
        return Some(name.to_owned());
    };
    let (variable, rest) = tail.split_once('/')?;
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty())?;
    Some(format!("{value}/{rest}"))
}
