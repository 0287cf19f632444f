import { Button, Checkbox, Group, Modal, NumberInput, Stack, Textarea } from '@mantine/core'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { address, request } from '~/api/client'
import { ErrorBox, format } from '~/parts'

const LONGEST = 900

interface Props {
  name: string
  opened: boolean
  close: () => void
}

/** A message, or several, by hand. */
export const Push = (props: Props) => (
  <Modal opened={props.opened} onClose={props.close} size="lg" title={<strong>Push a message</strong>}>
    {props.opened && <Form {...props} />}
  </Modal>
)

function Form({ name, close }: Props) {
  const [text, write] = useState('{"n": 1}')
  const [each, setEach] = useState(false)
  const [delay, setDelay] = useState<number | string>(0)
  const wrong = fault(text, each)
  // As it is written, not as JavaScript reads it: whole numbers of any length arrive whole.
  const push = useAction(
    async () => {
      const body = `{"messages": ${each ? text : `[${text}]`}, "delay": ${Number(delay) || 0}}`
      const answer = await request(address('/v1/queue/{queue}/message', { queue: name }), { method: 'POST', body, headers: { 'content-type': 'application/json' } })
      return ((await answer.json()) as { pushed: number }).pushed
    },
    { said: (pushed) => `${format.count(pushed)} ${pushed === 1 ? 'message is' : 'messages are'} pushed`, then: close, quiet: true },
  )
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (!wrong) void push.run()
      }}
    >
      <Stack gap="sm">
        <Textarea label="JSON" description="A number, a text in quotes, a list, an object" autosize minRows={5} maxRows={16} value={text} onChange={(event) => write(event.currentTarget.value)} error={text.trim() && wrong} styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }} spellCheck={false} data-autofocus />
        <Checkbox label="A list: each of its elements is a message" checked={each} onChange={(event) => setEach(event.currentTarget.checked)} />
        <NumberInput label="Delay in seconds" description={`Until it can be handed out; at most ${LONGEST}`} min={0} max={LONGEST} value={delay} onChange={setDelay} w={240} />
        <ErrorBox error={push.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={push.busy} disabled={Boolean(wrong)}>
            Push
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

function fault(text: string, each: boolean): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return each && !Array.isArray(value) ? 'This is no list' : undefined
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : 'This is no JSON'
  }
}
