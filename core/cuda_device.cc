// The CUDA runtime behind core/cuda_device.h.
#include "core/cuda_device.h"

#include <cuda_runtime.h>

#include "core/check.h"

namespace weft::cuda {
namespace {

#define WEFT_CUDA_CALL(expr)                                                                       \
  do {                                                                                             \
    const cudaError_t weft_cuda_ = (expr);                                                         \
    WEFT_CHECK(weft_cuda_ == cudaSuccess) << #expr << ": " << cudaGetErrorString(weft_cuda_);      \
  } while (false)

cudaStream_t Native(StreamHandle stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t NativeEvent(EventHandle event) { return static_cast<cudaEvent_t>(event); }

}  // namespace

bool IsBuiltIn() { return true; }

int DeviceCount() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();  // clear it: a machine without a driver is the CPU case, not a failure
    return 0;
  }
  return count;
}

std::string DeviceName(int device) {
  cudaDeviceProp properties;
  WEFT_CUDA_CALL(cudaGetDeviceProperties(&properties, device));
  return properties.name;
}

size_t FreeBytes(int device) {
  size_t free = 0, total = 0;
  WEFT_CUDA_CALL(cudaSetDevice(device));
  WEFT_CUDA_CALL(cudaMemGetInfo(&free, &total));
  return free;
}

size_t TotalBytes(int device) {
  size_t free = 0, total = 0;
  WEFT_CUDA_CALL(cudaSetDevice(device));
  WEFT_CUDA_CALL(cudaMemGetInfo(&free, &total));
  return total;
}

std::string BusId(int device) {
  char id[32];
  WEFT_CUDA_CALL(cudaDeviceGetPCIBusId(id, sizeof id, device));
  return id;
}

void BindThread(int device) { WEFT_CUDA_CALL(cudaSetDevice(device)); }

void* Allocate(int device, size_t bytes) {
  void* data = nullptr;
  WEFT_CUDA_CALL(cudaSetDevice(device));
  WEFT_CUDA_CALL(cudaMalloc(&data, bytes));
  return data;
}

void Free(int device, void* data) {
  WEFT_CUDA_CALL(cudaSetDevice(device));
  WEFT_CUDA_CALL(cudaFree(data));
}

// Portable: page-locked for every device of the process, not for the current one alone.
void* AllocateHost(int device, size_t bytes) {
  void* data = nullptr;
  WEFT_CUDA_CALL(cudaSetDevice(device));
  WEFT_CUDA_CALL(cudaHostAlloc(&data, bytes, cudaHostAllocPortable));
  return data;
}

void FreeHost(void* data) { WEFT_CUDA_CALL(cudaFreeHost(data)); }

StreamHandle CreateStream(int device) {
  cudaStream_t stream = nullptr;
  WEFT_CUDA_CALL(cudaSetDevice(device));
  WEFT_CUDA_CALL(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

void DestroyStream(StreamHandle stream) { WEFT_CUDA_CALL(cudaStreamDestroy(Native(stream))); }
void SynchronizeStream(StreamHandle stream) { WEFT_CUDA_CALL(cudaStreamSynchronize(Native(stream))); }

void CopyAsync(void* to, const void* from, size_t bytes, StreamHandle stream) {
  WEFT_CUDA_CALL(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, Native(stream)));
}

void SetAsync(void* to, int byte, size_t bytes, StreamHandle stream) {
  WEFT_CUDA_CALL(cudaMemsetAsync(to, byte, bytes, Native(stream)));
}

EventHandle CreateEvent() {
  cudaEvent_t event = nullptr;
  WEFT_CUDA_CALL(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return event;
}

void DestroyEvent(EventHandle event) { WEFT_CUDA_CALL(cudaEventDestroy(NativeEvent(event))); }
void Record(EventHandle event, StreamHandle stream) { WEFT_CUDA_CALL(cudaEventRecord(NativeEvent(event), Native(stream))); }
void Wait(StreamHandle stream, EventHandle event) { WEFT_CUDA_CALL(cudaStreamWaitEvent(Native(stream), NativeEvent(event), 0)); }
bool HasHappened(EventHandle event) {
  const cudaError_t state = cudaEventQuery(NativeEvent(event));
  if (state == cudaErrorNotReady) return false;
  WEFT_CUDA_CALL(state);
  return true;
}
void SynchronizeEvent(EventHandle event) { WEFT_CUDA_CALL(cudaEventSynchronize(NativeEvent(event))); }

}  // namespace weft::cuda
