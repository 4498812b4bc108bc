// The CUDA runtime as the rest of weft sees it: devices, memory, streams, events, without CUDA's headers.
//
// cuda_device.cc implements it; cuda_device_absent.cc stands in for a build without CUDA, where IsBuiltIn() is false,
// DeviceCount() is 0 and every other call is a bug. A failing CUDA call aborts with file:line and CUDA's own words:
// inside a step the peers are already waiting, so there is nothing to return to.
#pragma once

#include <cstddef>
#include <string>

namespace weft::cuda {

using StreamHandle = void*;  // cudaStream_t
using EventHandle = void*;   // cudaEvent_t

bool IsBuiltIn();
int DeviceCount();                   // 0 without a driver or a device
std::string DeviceName(int device);  // "NVIDIA H200"
size_t FreeBytes(int device);
size_t TotalBytes(int device);
std::string BusId(int device);  // "0000:1b:00.0": which of the host's GPUs it is, whatever this process may see
// Makes `device` the one that this thread's kernels and libraries use.
void BindThread(int device);

void* Allocate(int device, size_t bytes);
void Free(int device, void* data);
void* AllocateHost(int device, size_t bytes);  // page-locked memory of the host, aligned to a page
void FreeHost(void* data);

StreamHandle CreateStream(int device);
void DestroyStream(StreamHandle stream);
void SynchronizeStream(StreamHandle stream);
// Any direction; host memory may be pageable (then the copy is synchronous with the host).
void CopyAsync(void* to, const void* from, size_t bytes, StreamHandle stream);
void SetAsync(void* to, int byte, size_t bytes, StreamHandle stream);

EventHandle CreateEvent();
void DestroyEvent(EventHandle event);
void Record(EventHandle event, StreamHandle stream);
void Wait(StreamHandle stream, EventHandle event);  // work queued on `stream` from now on waits for `event`
bool HasHappened(EventHandle event);
void SynchronizeEvent(EventHandle event);          // blocks the host until `event` has happened

}  // namespace weft::cuda
