# Source this in a shell: `. tools/env.sh`. It puts the recorder built by `make` on the path, and keeps
# all files that it writes inside the checkout. DISTRO=jazzy: the one built by `make DISTRO=jazzy`.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
export ROS_DISTRO="${DISTRO:-kilted}" # distribution of the wheels; stored in bags
venv="$checkout/.venv"; [ "$ROS_DISTRO" = kilted ] || venv="$venv-$ROS_DISTRO"
export PATH="$venv/bin:$venv/lib/robot_recorder:$PATH"
export AMENT_PREFIX_PATH="$venv"
export ROS_LOG_DIR="$checkout/.cache/ros"
export MPLCONFIGDIR="$checkout/.cache/matplotlib"
export MESA_SHADER_CACHE_DIR="$checkout/.cache/mesa"
export HYPOTHESIS_STORAGE_DIRECTORY="$checkout/.cache/hypothesis"
# Variables of another ROS 2 installation, sourced earlier, would mix the two.
unset PYTHONPATH LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE COLCON_PREFIX_PATH RMW_IMPLEMENTATION
unset ROS_LOCALHOST_ONLY FASTRTPS_DEFAULT_PROFILES_FILE FASTDDS_DEFAULT_PROFILES_FILE
# Do not communicate with other machines, nor with a robot on this one.
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
export ROS_DOMAIN_ID="${ROBOT_RECORDER_DOMAIN_ID:-73}"
