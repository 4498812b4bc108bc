// Stands in for core/cuda_device.cc in a build without CUDA.
#include "core/check.h"
#include "core/cuda_device.h"

namespace weft::cuda {
namespace {
[[noreturn]] void Absent() {
  WEFT_CHECK(false) << "this build has no CUDA; device selection must not have let it come to this";
  __builtin_unreachable();
}
}  // namespace

bool IsBuiltIn() { return false; }
int DeviceCount() { return 0; }
std::string DeviceName(int) { Absent(); }
size_t FreeBytes(int) { Absent(); }
size_t TotalBytes(int) { Absent(); }
std::string BusId(int) { Absent(); }
void BindThread(int) { Absent(); }
void* Allocate(int, size_t) { Absent(); }
void Free(int, void*) { Absent(); }
void* AllocateHost(int, size_t) { Absent(); }
void FreeHost(void*) { Absent(); }
StreamHandle CreateStream(int) { Absent(); }
void DestroyStream(StreamHandle) { Absent(); }
void SynchronizeStream(StreamHandle) { Absent(); }
void CopyAsync(void*, const void*, size_t, StreamHandle) { Absent(); }
void SetAsync(void*, int, size_t, StreamHandle) { Absent(); }
EventHandle CreateEvent() { Absent(); }
void DestroyEvent(EventHandle) { Absent(); }
void Record(EventHandle, StreamHandle) { Absent(); }
void Wait(StreamHandle, EventHandle) { Absent(); }
bool HasHappened(EventHandle) { Absent(); }
void SynchronizeEvent(EventHandle) { Absent(); }

}  // namespace weft::cuda
