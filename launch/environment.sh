# What Open MPI 4.1 needs to start anywhere: as root (containers, CI) and with more ranks than cores.
# ./quickstart and ./test read it; before an mpirun of your own, `source launch/environment.sh`.
export OMPI_ALLOW_RUN_AS_ROOT=1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1
# Copies between processes by ptrace rights are refused in most containers: go through shared memory.
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# More ranks than cores: one that waits lets another compute. (With a core for each rank it costs next to nothing.)
export OMPI_MCA_mpi_yield_when_idle=1
