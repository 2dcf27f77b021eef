// The agent that answers: its instructions, and tools that run in this page.

export const title = "Harbour Hotel";
export const name = "Front desk";
export const examples = [
  "“What is the weather in Paris today?”",
  "“When does the pool open?”",
  "“Can you tell me about the history of the hotel?” and interrupt the answer",
];

const instructions = `You are the front desk of the Harbour Hotel. Be friendly and brief.
The history of the hotel begins in 1908, when a merchant built it as a warehouse for tea.
In the twenties it became a dance hall, with an orchestra that played until the morning.
After the great fire only the brick walls were left, and for years nobody wanted them.
Then two sisters bought the ruin, and opened a hotel with nine rooms and a kitchen.
Today it has eighty rooms, and the old cranes still stand in the garden by the water.`;

const skies = ["sunny", "cloudy", "windy", "rainy"];
const hours = { pool: "seven to nine", restaurant: "six to eleven", gym: "five to ten" };

const tools = {
  weather: {
    description: "The weather in a city today.",
    properties: { city: { type: "string" } },
    run: ({ city }) =>
      `It is ${skies[city.length % skies.length]} in ${city}, with ${12 + city.length} degrees.`,
  },
  opening_hours: {
    description: "When a place in the hotel opens and closes.",
    properties: { place: { type: "string", enum: Object.keys(hours) } },
    run: ({ place }) => `The ${place} is open from ${hours[place]} every day.`,
  },
};

// In milliseconds; it is part of how long an answer takes.
export const silence = 500;

export const session = {
  type: "realtime",
  instructions,
  audio: {
    input: {
      transcription: { model: "gpt-realtime-whisper" },
      turn_detection: { type: "server_vad", silence_duration_ms: silence },
    },
    output: { voice: "marin" },
  },
  tools: Object.entries(tools).map(([tool, { description, properties }]) => ({
    type: "function",
    name: tool,
    description,
    parameters: {
      type: "object",
      properties,
      required: Object.keys(properties),
      additionalProperties: false,
    },
  })),
};

// Returns what the tool says; a call that cannot be run says why, and the agent goes on.
export function run(tool, args) {
  try {
    return tools[tool].run(JSON.parse(args));
  } catch (problem) {
    return `The tool ${tool} failed: ${problem.message}`;
  }
}
