//! Devices behind the Vulkan loader. Nothing is created on them: an instance answers all that is asked here.

mod load;
mod probe;
mod sys;

pub use probe::VulkanProbe;
