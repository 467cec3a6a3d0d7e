"""All that a device needs: pictures, the .tflite detector, the manifest. No TensorFlow."""
