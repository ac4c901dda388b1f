# Sourced from a shell in the checkout: `. tools/env.sh`. Puts the recorder of `make` on the path, and
# keeps everything it writes inside the checkout.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
export PATH="$checkout/.venv/bin:$checkout/.venv/lib/robot_recorder:$PATH"
export AMENT_PREFIX_PATH="$checkout/.venv"
export ROS_DISTRO=kilted # what the wheels are; bags say so
export ROS_LOG_DIR="$checkout/.cache/ros"
export MPLCONFIGDIR="$checkout/.cache/matplotlib"
export MESA_SHADER_CACHE_DIR="$checkout/.cache/mesa"
export HYPOTHESIS_STORAGE_DIRECTORY="$checkout/.cache/hypothesis"
# A set-up beside this one, sourced earlier, would mix two ROS 2 installations.
unset PYTHONPATH LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE COLCON_PREFIX_PATH RMW_IMPLEMENTATION
unset ROS_LOCALHOST_ONLY FASTRTPS_DEFAULT_PROFILES_FILE FASTDDS_DEFAULT_PROFILES_FILE
# Stay on this machine, and apart from a robot that may be on the same one.
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
export ROS_DOMAIN_ID="${ROBOT_RECORDER_DOMAIN_ID:-73}"
