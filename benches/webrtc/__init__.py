"""What WebRTC calls cost, and how much delay they add: `python -m benches.webrtc`."""
