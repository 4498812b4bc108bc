// ProcessMesh: one rank's place in the mesh and the communicators along its axes.
//
// The mesh itself (parallel/mesh.h) is a pure value; this is where it meets a transport.
#pragma once

#include <memory>

#include "parallel/communicator.h"
#include "parallel/mesh.h"

namespace weft {

// `tensors` carries tensors of the compute device (NCCL on CUDA; on the CPU it may be `world` itself), `world` host data.
struct ProcessMesh {
  MeshShape shape;
  Coord coord;
  Communicator* world = nullptr;  // every rank, on the host: counts, statuses, checkpoints. Not owned
  Communicator* all = nullptr;    // every rank, device tensors: norms, loss. Not owned
  // The ranks that differ from this one on that axis alone; rank() is the index on the axis. Named "pp", "dp", "tp".
  // An axis of extent 1 has a communicator for a single rank.
  std::unique_ptr<Communicator> pp, dp, tp;
  // The first and the last pipeline stage of this rank's place on the other axes, who both keep a tied embedding: rank 0
  // and 1. nullptr in the stages between, and where pp is 1. Named "tied".
  std::unique_ptr<Communicator> tied;
};

// Collective over `tensors`, whose ranks must be those of `world`, as many as `shape` has places; rank r of `world` gets
// the place shape.CoordOf(r). Both must outlive the result.
ProcessMesh MakeProcessMesh(const MeshShape& shape, Communicator& world, Communicator& tensors);

}  // namespace weft
