//! Opens the Vulkan loader at run time and makes an instance.

use std::path::Path;

use ash::{Entry, Instance, LoadingError, vk};
use mains_contract::ProbeError;

/// An instance without layers or extensions, destroyed when it is dropped.
pub(super) struct Loaded {
    /// The instance's functions.
    pub(super) instance: Instance,
    // Functions of the instance live in the library that this keeps open.
    _entry: Entry,
}

impl Loaded {
    /// Opens `library`, or the loader that the system has. `None` when there is no loader or no driver behind it.
    ///
    /// # Errors
    /// [`ProbeError`] when a loader is there and fails.
    pub(super) fn open(library: Option<&Path>) -> Result<Option<Self>, ProbeError> {
        // SAFETY: loading runs the initialisers of the system's own Vulkan loader, which an administrator installed
        // for this purpose; workers are walled processes so that a broken one costs its worker alone.
        let entry = unsafe { library.map_or_else(|| Entry::load(), |path| Entry::load_from(path)) };
        let entry = match entry {
            Ok(entry) => entry,
            Err(LoadingError::LibraryLoadFailure(_)) => return Ok(None),
            Err(error) => return Err(ProbeError(format!("the Vulkan loader is damaged: {error}"))),
        };
        // SAFETY: no preconditions; the function pointer comes from the loaded library.
        let version = unsafe { entry.try_enumerate_instance_version() };
        let version = version.map_err(|error| failed("vkEnumerateInstanceVersion", error))?;
        if version.is_none_or(|version| version < vk::API_VERSION_1_1) {
            return Err(ProbeError(
                "the Vulkan loader is older than 1.1; update it".to_owned(),
            ));
        }
        let application = vk::ApplicationInfo::default()
            .application_name(c"mains")
            .api_version(vk::API_VERSION_1_3);
        let info = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: `info` and what it points to live across the call; no layers or extensions are named.
        match unsafe { entry.create_instance(&info, None) } {
            Ok(instance) => Ok(Some(Self {
                instance,
                _entry: entry,
            })),
            Err(vk::Result::ERROR_INCOMPATIBLE_DRIVER) => Ok(None),
            Err(error) => Err(failed("vkCreateInstance", error)),
        }
    }

    /// Handles of the physical devices, valid as long as the instance.
    ///
    /// # Errors
    /// [`ProbeError`] when the loader cannot list them.
    pub(super) fn devices(&self) -> Result<Vec<vk::PhysicalDevice>, ProbeError> {
        // SAFETY: the instance is alive as long as `self`.
        unsafe { self.instance.enumerate_physical_devices() }
            .map_err(|error| failed("vkEnumeratePhysicalDevices", error))
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: nothing was created from the instance, and `self` is the only one that has it.
        unsafe { self.instance.destroy_instance(None) };
    }
}

fn failed(call: &str, error: vk::Result) -> ProbeError {
    ProbeError(format!("{call} failed: {error}"))
}
